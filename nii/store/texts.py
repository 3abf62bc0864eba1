"""Texts that people type: cleaned, bounded and readable before they are stored."""

from __future__ import annotations

from nii.errors import NiiError

NAME_LIMIT = 100
LONG_LIMIT = 2000


def name(field: str, text: str, limit: int = NAME_LIMIT) -> str:
    """Return a name without surrounding white space.

    Raises:
        NiiError: it is empty, too long or holds what cannot be shown.
    """
    text = text.strip()
    if not text:
        raise refusal(field, "no text", f"the {field}", f"Give the {field}.")
    return _checked(field, text, text, limit)


def optional(field: str, text: str, limit: int = NAME_LIMIT) -> str:
    """Return one line that may be empty, without surrounding white space.

    Raises:
        NiiError: it is too long or holds what cannot be shown.
    """
    text = text.strip()
    return _checked(field, text, text, limit)


def remark(field: str, text: str, limit: int = LONG_LIMIT) -> str:
    """Return a text of any number of lines, which may be empty; line ends become line feeds.

    Raises:
        NiiError: it is too long or holds what cannot be shown.
    """
    text = text.strip().replace("\r\n", "\n")
    return _checked(field, text, text.replace("\n", " ").replace("\t", " "), limit)


def refusal(subject: str, found: str, expected: str, remedy: str) -> NiiError:
    """Return the error that says why something is not stored."""
    return NiiError(subject, found=found, expected=expected, remedy=remedy)


def _checked(field: str, text: str, printable: str, limit: int) -> str:
    if len(text) > limit:
        raise refusal(field, f"{len(text)} characters", f"at most {limit}", f"Shorten the {field}.")
    if not printable.isprintable():
        raise refusal(
            field, "control characters", "readable text", "Remove what cannot be printed."
        )
    return text
