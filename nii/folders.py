"""Folders of the user for what belongs to the machine, and files that are whole or not there.

Reference: XDG Base Directory Specification 0.8 (Linux); Known Folders (Windows); File System
Programming Guide (macOS).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nii.errors import ConfigError

TRUST_VARIABLE = "NII_TRUST"
CACHE_VARIABLE = "NII_CACHE"


def trust_folder(environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> Path:
    """Return the folder of trusted keys and versions; it need not exist.

    Args:
        environment: variables of the process; `NII_TRUST` names another folder.
        system: name of the platform, as in :data:`sys.platform`.
    """
    if named := environment.get(TRUST_VARIABLE):
        return Path(named)
    return _home(environment, system, kind="settings") / "nii" / "trust"


def cache_folder(environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> Path:
    """Return the folder of what can be made again; it need not exist.

    Args:
        environment: variables of the process; `NII_CACHE` names another folder.
        system: name of the platform, as in :data:`sys.platform`.
    """
    if named := environment.get(CACHE_VARIABLE):
        return Path(named)
    return _home(environment, system, kind="cache") / "nii"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is complete, or as it was before, whatever happens meanwhile.

    Raises:
        OSError: the folder is missing or full, or may not be written.
    """
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def claim(path: Path, settings: Mapping[str, Any], holds: str, remedy: str) -> None:
    """Write what a folder of results was made with, or check that it was made with just that.

    Args:
        path: the file; its folder is made if it is not there.
        settings: of JSON types, tuples allowed.
        holds: what the folder would hold, for the error.
        remedy: what to do then.

    Raises:
        ConfigError: the folder was begun with other settings.
    """
    wanted = json.loads(json.dumps(dict(settings)))
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(wanted, indent=1) + "\n").encode())
        return
    found = json.loads(path.read_text("utf-8"))
    keys = sorted(wanted.keys() | found.keys())
    differing = [key for key in keys if found.get(key) != wanted.get(key)]
    if differing:
        raise ConfigError(
            path,
            found=f"{holds} made with other settings ({', '.join(differing)})",
            expected="the same settings, or an empty folder",
            remedy=remedy,
        )


def _home(environment: Mapping[str, str], system: str, *, kind: str) -> Path:
    home = Path.home()
    if system == "win32":
        variable, other = {
            "settings": ("APPDATA", home / "AppData" / "Roaming"),
            "cache": ("LOCALAPPDATA", home / "AppData" / "Local"),
        }[kind]
    elif system == "darwin":
        library = home / "Library"
        return library / {"settings": "Application Support", "cache": "Caches"}[kind]
    else:
        variable, other = {
            "settings": ("XDG_CONFIG_HOME", home / ".config"),
            "cache": ("XDG_CACHE_HOME", home / ".cache"),
        }[kind]
    return Path(environment.get(variable) or other)
