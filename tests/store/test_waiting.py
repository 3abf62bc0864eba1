"""Claims about scans that wait for a model."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from nii.store import audit, scans, waiting
from nii.store.database import Store
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def push(store: Store, tmp_path: Path, content: str) -> str:
    """Keep a scan as the web app does when a program brings it."""
    path = tmp_path / "pushed.tif"
    path.write_text(content)
    kept = scans.keep(store, [path])
    with store.write() as connection:
        scans.register(connection, kept, NOON)
        payload = {"scan_sha256": kept.sha256}
        audit.append(connection, audit.Entry(waiting.PUSHED, None, payload), NOON)
    return kept.sha256


def test_what_was_never_inspected_waits(
    store: Store, tmp_path: Path, file_scan: Callable[..., Filed]
) -> None:
    """Pushed scans wait, inspected ones do not; later ones are found by their event."""
    inspected = file_scan("one").scan_sha256
    first = push(store, tmp_path, "two")
    found, last = waiting.uninspected(store)
    assert found == (first,)
    assert waiting.pushed_after(store, last) == ((), last)
    second = push(store, tmp_path, "three")
    found, newest = waiting.pushed_after(store, last)
    assert found == (second,)
    assert newest > last
    assert waiting.inspected_among(store, [inspected, first, second]) == {inspected}


def test_one_that_is_given_up_waits_no_longer(store: Store, tmp_path: Path) -> None:
    """The log says why, once, and the chain holds."""
    sha256 = push(store, tmp_path, "bad")
    for _ in range(2):
        waiting.give_up(store, sha256, {"found": "no scan"}, NOON)
    assert waiting.uninspected(store)[0] == ()
    (event,) = audit.events_after(store, 0, kinds=(waiting.UNINSPECTED,))
    assert event.payload == {"scan_sha256": sha256, "reason": {"found": "no scan"}}
    assert audit.verify(store).faults == ()
