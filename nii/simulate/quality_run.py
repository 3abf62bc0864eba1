"""From words on a command line to measured subjects: presets, scan files, folders of scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nii import formats
from nii.errors import ConfigError, ScanFormatError
from nii.simulate.quality import TESTS, Subject
from nii.simulate.quality_preset import QualityConfig, measure_preset
from nii.simulate.quality_scan import measure_scan
from nii.simulate.scanner import PRESETS, preset


@dataclass(frozen=True, slots=True)
class Named:
    """Hold what is to be measured: a preset by name, or the files of one scan."""

    name: str
    files: tuple[Path, ...] = ()


def find_subjects(words: Sequence[str]) -> tuple[Named, ...]:
    """Return the presets and scans that are named, each once, in order.

    Raises:
        ConfigError: a word is neither a preset nor a file or folder.
    """
    named: dict[Named, None] = {}
    for word in words:
        if word in PRESETS:
            named[Named(word)] = None
            continue
        path = Path(word)
        if not path.exists():
            raise ConfigError(
                word,
                found="neither a scanner preset nor a file or folder",
                expected=f"one of {', '.join(PRESETS)}, or a scan",
                remedy="Check the spelling and the path.",
            )
        groups = formats.find([path])
        named.update({Named(group[0].name, group): None for group in groups})
    return tuple(named)


def measure(
    named: Sequence[Named],
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _text: None,
    config: QualityConfig | None = None,
) -> Iterator[Subject]:
    """Yield every subject measured; a scan that cannot be read is one with its reason.

    Args:
        named: what to measure.
        on_progress: called with the number of pieces done, of all, and what is done now.
        config: how presets are tested.
    """
    sizes = [1 if one.files else len(TESTS) for one in named]
    total, before = sum(sizes), 0
    for one, size in zip(named, sizes, strict=True):
        start = before
        if one.files:
            on_progress(start, total, one.name)
            yield _scan(one)
        else:
            yield measure_preset(
                one.name,
                preset(one.name),
                config or QualityConfig(),
                lambda done, _, text, start=start: on_progress(start + done, total, text),  # type: ignore[misc]
            )
        before += size
        on_progress(before, total, "")


def _scan(one: Named) -> Subject:
    try:
        scan = formats.read(one.files)
    except ScanFormatError as error:
        return Subject(one.name, "scan", failure=str(error))
    return measure_scan(one.name, scan)
