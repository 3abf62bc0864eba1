"""Passwords: hashed with Argon2id, checked by a short policy, made up for a first log-in.

Reference:
    RFC 9106 (2021), section 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
    NIST SP 800-63B (2017), section 5.1.1.2: length counts, rules of composition do not help.
"""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from nii.errors import NiiError

SHORTEST = 12
LONGEST = 200
_FEWEST_DIFFERENT = 5
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters of passwords that are made up: none that looks like another."""
_GROUPS, _GROUP = 4, 5
"""20 letters out of 31: 99 bits."""

HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
_AT_ONCE = threading.Semaphore(2)
"""Hashes computed at the same time: each takes 64 MiB."""


def hashed(password: str) -> str:
    """Return what is stored in place of a password."""
    with _AT_ONCE:
        return HASHER.hash(password)


def fits(stored: str | None, password: str) -> bool:
    """Tell whether a password is the one that was hashed; takes as long where there is none."""
    with _AT_ONCE:
        try:
            HASHER.verify(stored or _nobody(), password)
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def outdated(stored: str) -> bool:
    """Tell whether a hash was made with other parameters than those of today."""
    return HASHER.check_needs_rehash(stored)


def one_time() -> str:
    """Return a password for one log-in, easy to read out and to type."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def check(password: str, login: str) -> None:
    """Check that a new password is hard enough to guess.

    Raises:
        NiiError: it is too short, too long, too uniform or holds the name.
    """
    problem = None
    if not SHORTEST <= len(password) <= LONGEST:
        problem = f"{len(password)} characters"
    elif len(set(password)) < _FEWEST_DIFFERENT:
        problem = "the same few characters over and over"
    elif login.lower() in password.lower():
        problem = "the name of the account in it"
    if problem:
        raise NiiError(
            "password",
            found=problem,
            expected=f"at least {SHORTEST} characters, not all alike, without the account's name",
            remedy="Choose a longer one: several words are easy to remember.",
        )


_NOBODY: list[str] = []


def _nobody() -> str:
    """Return a hash that no password fits, made once: an unknown name must not answer sooner."""
    if not _NOBODY:
        _NOBODY.append(HASHER.hash(secrets.token_urlsafe()))
    return _NOBODY[0]
