"""Scorer: the files of one scan → one row of the table. The same class serves every engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import cast

from nii import taxonomy
from nii.bundle import Card
from nii.detections import Detections
from nii.errors import BundleError, MissingExtraError, NiiError, ProviderError, ScanFormatError
from nii.infer.batch import read_group
from nii.infer.inspect import Finds, describe, look
from nii.infer.parquet import Row, clean, failed_row, row_of
from nii.inspection import ProviderFacts
from nii.scan import AnyScan
from nii.score.archive import Group, Place, fetched, is_there

_LOG = logging.getLogger(__name__)
_PAUSES_S = (0.1, 1.0)
"""Seconds before a file that could not be reached is tried again: assumption."""
_NOT_THE_SCAN = (BundleError, MissingExtraError, ProviderError, MemoryError)
"""Errors that speak of the model or the machine: they end the run, and no scan is blamed."""


class Scorer:
    """Inspect scans of an archive, one after the other, while the next one is read."""

    def __init__(self, archive: Place, detector: Finds, *, ahead: bool = True) -> None:
        """Keep an open model.

        Args:
            archive: where the scans lie.
            detector: finds threats and structures.
            ahead: read the next scan while one is inspected.
        """
        self._archive = archive
        self._detector = detector
        self._ahead = ahead

    @property
    def provider(self) -> ProviderFacts:
        """Return what the model really runs on."""
        return self._detector.provider

    def rows(
        self,
        groups: Sequence[Group],
        skipped: Mapping[int, str] | None = None,
        note: Callable[[int], None] = lambda _row: None,
    ) -> Iterator[Row]:
        """Yield one row for each scan, in order; a scan that is bad gives a row with the error.

        Args:
            groups: the files of each scan.
            skipped: by place in `groups`: why a scan is not looked at.
            note: told the place of each scan before it is touched.

        Raises:
            BundleError, MissingExtraError, ProviderError: model or hardware failed.
            OSError: the archive cannot be reached.
        """
        skipped = skipped or {}
        with ThreadPoolExecutor(1, "nii-score-read") as reader:
            coming: Future[AnyScan | NiiError] | None = None
            for place, group in enumerate(groups):
                note(place)
                if place in skipped:
                    coming = None
                    yield failed_row(group[0], group, skipped[place])
                    continue
                scan = coming.result() if coming else self._read(group)
                coming = None
                if self._ahead and place + 1 < len(groups) and place + 1 not in skipped:
                    coming = reader.submit(self._read, groups[place + 1])
                yield self._row(group, scan)

    def _read(self, group: Group) -> AnyScan | NiiError:
        """Read a scan; return the error where it is bad, raise it where the archive is gone."""
        for pause_s in (*_PAUSES_S, None):
            try:
                with fetched(self._archive, group) as files:
                    return read_group(files)
            except (ScanFormatError, OSError) as error:
                fault = _fault_of_storage(error)
                if fault is None:
                    return cast("ScanFormatError", error)
                if pause_s is None and is_there(self._archive):
                    return _unreachable(group[0], fault)
                if pause_s is None:
                    raise
                time.sleep(pause_s)
        raise AssertionError  # the last turn returns or raises

    def _row(self, group: Group, scan: AnyScan | NiiError) -> Row:
        if isinstance(scan, NiiError):
            return failed_row(group[0], group, _about(scan, group[0]))
        try:
            seen = look(scan, self._detector)
            inspection = describe(scan, seen, self._detector)
        except _NOT_THE_SCAN:
            raise
        except Exception as error:  # noqa: BLE001 - one bad scan must not stop the others
            _LOG.exception("unexpected error at %s", group[0])
            text = f"unexpected {type(error).__name__}: {error}. Please report this."
            return failed_row(group[0], group, text)
        row = row_of(group[0], inspection, _scores(seen.detections, self._detector.card))
        return row | {"files": [clean(file) for file in group]}


def _scores(found: Detections, card: Card) -> dict[str, float]:
    """Return the highest score of each threat class of a scan, 0 where there is none."""
    best = dict.fromkeys(card.threats, 0.0)
    for class_id, score in zip(found.class_ids, found.scores, strict=True):
        name = taxonomy.classes()[int(class_id)].name
        if name in best:
            best[name] = max(best[name], float(score))
    return best


def _fault_of_storage(error: ScanFormatError | OSError) -> OSError | None:
    """Return the error of the storage that is behind an error of reading; None for a bad scan.

    The number that the system gave tells it from complaints of a decoding library.
    """
    if isinstance(error, OSError):
        return error
    cause = error.__cause__
    return cause if isinstance(cause, OSError) and cause.errno is not None else None


def _unreachable(name: str, error: OSError) -> ScanFormatError:
    return ScanFormatError(
        name,
        found=error.strerror or str(error) or type(error).__name__,
        expected="a file that can be read: the others of the archive can",
        remedy="Check its access rights; inspect it apart with nii inspect.",
    )


def _about(error: NiiError, name: str) -> str:
    """Return what is wrong, without the folder that the copy of a remote file lay in."""
    return f"{name}: found {error.found}; expected {error.expected}. {error.remedy}"
