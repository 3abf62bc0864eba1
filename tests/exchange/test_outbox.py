"""Claims about the outbox: each inspection leaves once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nii.exchange import outbox
from nii.exchange.package import read_package
from nii.store import audit
from nii.store.database import Store
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def draw() -> bytes:
    """Return a picture."""
    return b"\x89PNG\r\n\x1a\n and the rest"


@pytest.mark.slow
def test_delivered_once(store: Store, filed: Filed, tmp_path: Path) -> None:
    """The second delivery does nothing, even when the receiver took the first package away."""
    folder = tmp_path / "outbox"
    assert outbox.waiting(store) == (filed.id,)
    path = outbox.deliver(store, folder, filed, draw, NOON)
    assert path is not None
    assert read_package(path, tmp_path / "out").inspection == filed.inspection
    path.unlink()
    assert outbox.deliver(store, folder, filed, draw, NOON) is None
    assert list(folder.iterdir()) == []
    assert outbox.waiting(store) == ()
    assert audit.verify(store).intact


def test_a_stop_before_the_log_repeats_the_same_package(
    store: Store, filed: Filed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a stop between file and event, the next run leaves the same single file."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "outbox"
    with monkeypatch.context() as patch:
        patch.setattr(audit, "append", stop)
        with pytest.raises(KeyboardInterrupt):
            outbox.deliver(store, folder, filed, draw, NOON)
    (first,) = folder.iterdir()
    content = first.read_bytes()
    assert outbox.deliver(store, folder, filed, draw, NOON) == first
    assert list(folder.iterdir()) == [first]
    assert first.read_bytes() == content
