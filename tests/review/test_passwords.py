"""Claims about passwords."""

from __future__ import annotations

import time

import pytest
from argon2 import extract_parameters

from nii.errors import NiiError
from nii.review import passwords


def test_only_the_right_password_fits() -> None:
    """A hash holds no password, differs each time, and only the right password fits it."""
    stored = passwords.hashed("correct horse battery")
    assert "horse" not in stored
    assert stored != passwords.hashed("correct horse battery")
    assert passwords.fits(stored, "correct horse battery")
    assert not passwords.fits(stored, "correct horse batterz")
    assert not passwords.fits(None, "correct horse battery")
    assert not passwords.fits("no hash", "correct horse battery")


@pytest.mark.slow
@pytest.mark.real_hashes
def test_the_parameters_are_those_of_the_standard() -> None:
    """Argon2id with 64 MiB, 3 passes, 4 lanes: RFC 9106, section 4, second option."""
    found = extract_parameters(passwords.HASHER.hash("x"))
    assert (found.type.name, found.memory_cost, found.time_cost, found.parallelism) == (
        "ID",
        64 << 10,
        3,
        4,
    )
    weak = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"
    assert passwords.outdated(weak)


@pytest.mark.slow
@pytest.mark.real_hashes
def test_an_unknown_name_takes_as_long() -> None:
    """Nobody learns from the time of the answer whether an account is there."""
    stored = passwords.hashed("correct horse battery")
    passwords.fits(None, "x")  # the first call makes the hash that nothing fits

    def seconds(given: str | None) -> float:
        start = time.perf_counter()
        passwords.fits(given, "wrong")
        return time.perf_counter() - start

    known = min(seconds(stored) for _ in range(5))
    unknown = min(seconds(None) for _ in range(5))
    assert 0.5 < unknown / known < 2


def test_one_time_passwords() -> None:
    """Made-up passwords differ, are long, and pass the policy."""
    made = {passwords.one_time() for _ in range(50)}
    assert len(made) == 50
    for each in made:
        assert len(each.replace("-", "")) == 20
        passwords.check(each, "admin")


@pytest.mark.parametrize(
    "password",
    ["short", "a" * 11, "ababababababab", "officer-one-rocks", "x" * 201],
)
def test_weak_passwords_are_refused(password: str) -> None:
    """Too short, too long, too uniform, or with the account's name in it."""
    with pytest.raises(NiiError, match="password"):
        passwords.check(password, "Officer")


def test_length_is_enough() -> None:
    """No rule asks for digits or signs."""
    passwords.check("correct horse battery staple", "officer")
