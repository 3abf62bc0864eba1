"""How large a scan may be: checked from the headers, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nii.errors import ScanFormatError

_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """State what a reader agrees to load. A whole train at 4 mm is about 50 million pixels."""

    file_bytes: int = 2 * _GIB
    """Largest file."""
    pixels: int = 200_000_000
    """Most pixels of one energy."""
    energies: int = 16
    """Most energies of one scan."""

    def check_file(self, path: Path, size: int) -> None:
        """Refuse a file of `size` bytes that is too large.

        Raises:
            ScanFormatError: the file is larger than `file_bytes`.
        """
        if size > self.file_bytes:
            raise ScanFormatError(
                path,
                found=f"{size} bytes",
                expected=f"at most {self.file_bytes} bytes",
                remedy="Raise Limits.file_bytes if the file is meant to be this large.",
            )

    def check_image(self, path: Path, height: int, width: int, energies: int = 1) -> None:
        """Refuse an image that is empty or too large, by what its header claims.

        Raises:
            ScanFormatError: no pixels, too many pixels or too many energies.
        """
        found = f"a header that claims {energies} x {height} x {width} (energy, height, width)"
        if min(height, width, energies) < 1:
            raise ScanFormatError(
                path,
                found=found,
                expected="at least one energy, one row and one column",
                remedy="Export the scan again.",
            )
        if height * width > self.pixels or energies > self.energies:
            raise ScanFormatError(
                path,
                found=found,
                expected=f"at most {self.pixels} pixels and {self.energies} energies",
                remedy="Raise Limits if the scan is meant to be this large.",
            )
