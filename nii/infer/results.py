"""Results: the files that an inspection leaves behind, their names, and how they are written."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nii.formats.files import save
from nii.inspection import Inspection

INSPECTION_SUFFIX = ".inspection.json"
OVERLAY_SUFFIX = ".overlay.png"
THUMBNAIL_SUFFIX = ".thumbnail.png"
ANOMALY_SUFFIX = ".anomaly.png"
"""Only where the model has a map of anomalies."""
REPORT_SUFFIX = ".tdr.dcs"
_FORBIDDEN = re.compile(r"[<>:\"/\\|?*\x00-\x1f\x7f\ud800-\udfff]")
"""Characters that some file system cannot hold, and bytes that were no text."""
_LONGEST = 120
"""Longest stem in bytes; file systems allow 255 for the whole name."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A scan that could not be inspected.

    Attributes:
        file: path of the scan as it was named.
        error: what was wrong and what can be done about it.
    """

    file: str
    error: str


def stems(groups: Sequence[Sequence[Path]]) -> tuple[str, ...]:
    """Return one name for the results of each scan, all different, also without regard to case.

    A scan's results are called like its first file. Where that is not enough, the suffix and then
    the names of folders are added, from the inside out; two names that cannot be told apart even so
    are numbered.
    """
    chosen = [_plain(group[0].stem) for group in groups]
    deepest = max((len(group[0].parts) for group in groups), default=0)
    for depth in range(1, deepest + 1):
        twice = _repeated(chosen)
        if not twice:
            break
        for row, group in enumerate(groups):
            if chosen[row].casefold() in twice:
                chosen[row] = _plain("-".join(group[0].parts[-depth:]))
    twice, seen = _repeated(chosen), set()
    for row, name in enumerate(chosen):
        number = 1
        while chosen[row].casefold() in seen or (number == 1 and name.casefold() in twice):
            number += 1
            chosen[row] = f"{name}-{number - 1}"
        seen.add(chosen[row].casefold())
    return tuple(chosen)


def free_stem(out: Path, stem: str, sha256: str | None) -> str:
    """Return a name under which no other scan's result lies in `out` already.

    The result of the same scan (the same SHA-256) is replaced; another one never is.
    """
    if _is_free(out, stem, sha256):
        return stem
    marked = f"{stem}-{sha256[:8]}" if sha256 else stem
    numbered = (f"{marked}-{number}" for number in itertools.count(2))
    names = itertools.chain([marked], numbered)
    return next(name for name in names if _is_free(out, name, sha256))


def write_results(out: Path, stem: str, inspection: Inspection, extra: Mapping[str, bytes]) -> None:
    """Write pictures, reports and facts; each file is whole or not there, the facts come last.

    Args:
        out: the folder.
        stem: name that the files start with.
        inspection: the facts.
        extra: content of pictures and reports by the ending of the name.

    Raises:
        OSError: the folder cannot be written to.
    """
    text = json.dumps(inspection.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    for suffix, content in extra.items():
        save(out / f"{stem}{suffix}", content)
    # A lone surrogate (a file name that is no text) becomes an escape, which JSON understands.
    facts = f"{text}\n".encode("utf-8", "backslashreplace")
    save(out / f"{stem}{INSPECTION_SUFFIX}", facts)


def _plain(name: str) -> str:
    clean = _FORBIDDEN.sub("_", name).strip(" .") or "scan"
    if len(clean.encode()) <= _LONGEST:
        return clean
    digest = hashlib.sha256(clean.encode()).hexdigest()[:8]
    return f"{clean.encode()[: _LONGEST - 9].decode(errors='ignore')}-{digest}"


def _repeated(names: Sequence[str]) -> set[str]:
    count = Counter(name.casefold() for name in names)
    return {name for name, times in count.items() if times > 1}


def _is_free(out: Path, stem: str, sha256: str | None) -> bool:
    path = out / f"{stem}{INSPECTION_SUFFIX}"
    if not path.exists():
        return True
    try:
        found = json.loads(path.read_text("utf-8"))["scan"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return sha256 is not None and bool(found == sha256)
