"""The exceptions of `nii`, all under one root.

::

    NiiError
    ├── ScanFormatError     a file cannot be read as a scan
    ├── AnnotationError     a label file contradicts itself or its images
    ├── ConfigError         a setting is unknown, missing or of the wrong type
    ├── BundleError         a model bundle is incomplete, altered or too new
    ├── ProviderError       the requested inference hardware cannot be used
    └── MissingExtraError   an optional part of the installation is absent

Every message names what was found, what was expected and what to do about it.
"""

from __future__ import annotations


class NiiError(Exception):
    """Report a problem that the user can act upon.

    Args:
        subject: the file, setting or device that the problem is about.
        found: what is there.
        expected: what should be there.
        remedy: what the reader can do next.
    """

    def __init__(self, subject: object, *, found: str, expected: str, remedy: str) -> None:
        """Keep the four parts and join them into one readable message."""
        self.subject = str(subject)
        self.found = found
        self.expected = expected
        self.remedy = remedy
        super().__init__(f"{self.subject}: found {found}; expected {expected}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild the exception from its parts, so that it crosses process borders."""
        return (_rebuild, (type(self), self.subject, self.found, self.expected, self.remedy))


def _rebuild(
    kind: type[NiiError], subject: str, found: str, expected: str, remedy: str
) -> NiiError:
    return kind(subject, found=found, expected=expected, remedy=remedy)


class ScanFormatError(NiiError):
    """Report a file that cannot be read as a scan."""


class AnnotationError(NiiError):
    """Report labels that contradict themselves or the images they belong to."""


class ConfigError(NiiError):
    """Report a setting that is unknown, missing or of the wrong type."""


class BundleError(NiiError):
    """Report a model bundle that is incomplete, altered or made by a newer version."""


class ProviderError(NiiError):
    """Report inference hardware that was asked for and cannot be used."""


class MissingExtraError(NiiError):
    """Report an optional part of the installation that is absent."""

    @classmethod
    def of(cls, extra: str, purpose: str) -> MissingExtraError:
        """Name the extra to install, for example ``training needs: pip install nii[train]``."""
        return cls(
            purpose,
            found=f"an installation without the extra [{extra}]",
            expected=f"the packages of [{extra}]",
            remedy=f"{purpose} needs: pip install 'nii[{extra}]'",
        )
