"""Which version of each bundle a workstation has used, so that an older one is not slipped in.

The folder of trust holds ``versions.json``: by name of the bundle, version and time of issue of the
newest one that ran.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from nii.errors import ConfigError
from nii.folders import write_whole

VERSIONS_FILE = "versions.json"


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of a bundle.

    Attributes:
        version: of the model.
        issued_at: time of signing in UTC, ISO 8601; empty where it is not known.
    """

    version: str
    issued_at: str = ""

    @property
    def rank(self) -> tuple[tuple[tuple[int, int | str], ...], str]:
        """Return what issues are compared by: the version, then the time."""
        return version_key(self.version), self.issued_at

    def __str__(self) -> str:
        """Return version and time in words."""
        moment = f"issued {self.issued_at}" if self.issued_at else "without a time of issue"
        return f"version {self.version}, {moment}"


def version_key(version: str) -> tuple[tuple[int, int | str], ...]:
    """Return what versions are compared by: numbers as numbers, ``1.0rc1`` below ``1.0``."""
    tokens = re.findall(r"\d+|[a-z]+", version.lower(), re.ASCII)
    ranked = ((2, int(token)) if token.isdecimal() else (0, token) for token in tokens)
    return (*ranked, (1, ""))


def older(folder: Path, name: str, issue: Issue) -> Issue | None:
    """Return the newer issue that was used before, or None where there is none.

    Raises:
        ConfigError: the list of versions is damaged.
    """
    before = read_versions(folder).get(name)
    return before if before is not None and issue.rank < before.rank else None


def remember(folder: Path, name: str, issue: Issue) -> None:
    """Make an issue the one from which on a name is used.

    Raises:
        ConfigError: the list of versions is damaged.
        OSError: the folder cannot be written.
    """
    known = read_versions(folder)
    if known.get(name) == issue:
        return
    known[name] = issue
    rows = {key: [row.version, row.issued_at] for key, row in known.items()}
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(rows, indent=2, sort_keys=True) + "\n"
    write_whole(folder / VERSIONS_FILE, text.encode())


def read_versions(folder: Path) -> dict[str, Issue]:
    """Return the newest issue that was used, by name of the bundle.

    Raises:
        ConfigError: the list is damaged.
    """
    path = folder / VERSIONS_FILE
    try:
        rows = json.loads(path.read_bytes()).items()
        return {str(name): Issue(str(version), str(moment)) for name, (version, moment) in rows}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            path,
            found=f"no readable list of versions ({error})",
            expected="what nii wrote there",
            remedy="Restore it from a backup; without it older bundles would run again.",
        ) from error
