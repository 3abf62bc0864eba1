"""Claims about sinks: a repeated delivery does the same again, and refusals tell whose they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from nii.errors import NiiError
from nii.infer.inspect import utc_now
from nii.inspection import Inspection
from nii.store import inspections
from nii.store.database import open_folder
from nii.store.inspections import Query
from nii.watch.journal import Parcel
from nii.watch.settings import WatchSettings
from nii.watch.sinks import FolderSink, HttpSink, Sink, StoreSink, open_sinks


def test_folder_twice(parcel: Parcel, tmp_path: Path) -> None:
    """The same results twice leave two files; another scan of the same name gets its own."""
    sink = FolderSink(tmp_path / "out")
    sink.deliver(parcel)
    sink.deliver(parcel)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "truck.inspection.json",
        "truck.overlay.png",
    ]
    other = parcel.document.replace(parcel.identity, "e" * 64)
    sink.deliver(replace(parcel, identity="e" * 64, document=other))
    assert len(list((tmp_path / "out").iterdir())) == 4
    text = (tmp_path / "out" / "truck.inspection.json").read_text("utf-8")
    assert Inspection.from_json(json.loads(text)).scan.sha256 == parcel.identity


@pytest.mark.slow
def test_store_twice(parcel: Parcel, tmp_path: Path) -> None:
    """The store holds one inspection however often it is delivered, with the original file."""
    for _ in range(2):
        sink = StoreSink(tmp_path / "store", utc_now)
        sink.deliver(parcel)
        sink.close()
    store = open_folder(tmp_path / "store")
    (filed,) = inspections.page(store, Query())
    store.close()
    assert filed.inspection.to_json() == json.loads(parcel.document)
    assert any((tmp_path / "store" / "files").rglob(parcel.identity))


@pytest.mark.slow
def test_store_without_the_original(parcel: Parcel, tmp_path: Path) -> None:
    """A scan that is gone or changed concerns its own delivery only, not the store."""
    sink = StoreSink(tmp_path / "store", utc_now)
    content = parcel.paths[0].read_bytes()
    parcel.paths[0].unlink()
    with pytest.raises(NiiError, match="no scan under"):
        sink.deliver(parcel)
    parcel.paths[0].write_bytes(b"another")
    with pytest.raises(NiiError, match="another scan"):
        sink.deliver(parcel)
    parcel.paths[0].write_bytes(content)
    sink.deliver(parcel)
    sink.close()


def test_store_out_of_reach(parcel: Parcel, tmp_path: Path) -> None:
    """A store that cannot be opened is out of reach as a whole."""
    (tmp_path / "store").write_bytes(b"in the way")
    with pytest.raises(OSError, match="store"):
        StoreSink(tmp_path / "store", utc_now).deliver(parcel)


def test_http_key(parcel: Parcel, bench: ModuleType) -> None:
    """Repetitions carry the same key and the same bytes; another scan or model another key."""
    received = bench.Received()
    with bench.web_server(received) as url:
        for one in (
            parcel,
            parcel,
            replace(parcel, identity="e" * 64),
            replace(parcel, document=parcel.document.replace("1" * 64, "2" * 64)),
        ):
            HttpSink(url, "secret").deliver(one)
    assert sorted(len(bodies) for bodies in received.bodies.values()) == [1, 1, 2]
    assert parcel.document.encode() in received.bodies[next(iter(received.bodies))]


@pytest.mark.parametrize(
    ("status", "error"),
    [(204, None), (409, None), (503, OSError), (301, OSError), (401, OSError), (422, NiiError)],
)
def test_http_answers(
    parcel: Parcel, bench: ModuleType, status: int, error: type[Exception] | None
) -> None:
    """Success and *there already* are done; a busy server is waited for; a refusal is told."""
    with bench.web_server(bench.Received(status=status)) as url:
        if error is None:
            HttpSink(url).deliver(parcel)
            return
        with pytest.raises(error, match=str(status)):
            HttpSink(url).deliver(parcel)


def test_a_server_that_speaks_no_http(parcel: Parcel) -> None:
    """An address where nothing or something else listens is out of reach."""
    with pytest.raises(OSError, match="refused"):
        HttpSink("http://127.0.0.1:9/x").deliver(parcel)


@pytest.mark.slow
def test_open_sinks(settings: WatchSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings' names for sinks are the sinks' own, in the same order."""
    monkeypatch.setenv("NII_WATCH_TOKEN", "secret")
    every = replace(
        settings, store=settings.state_folder / "store", post="https://example.invalid/x"
    )
    sinks = open_sinks(every, utc_now)
    assert tuple(sink.name for sink in sinks) == every.sinks == ("folder", "store", "http")
    assert all(isinstance(sink, Sink) for sink in sinks)
