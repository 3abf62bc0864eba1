"""Every format of the table keeps what it can hold and refuses what is broken."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from nii import formats
from nii.errors import ScanFormatError
from nii.formats import FORMATS, Format, Limits, dicos, jpeg, read, read_stored, write
from nii.provenance import sha256_of_file
from nii.scan import Grey, Scan

EXAMPLES = int(os.environ.get("NII_FUZZ_EXAMPLES", "30"))
every_format = pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.SUFFIXES[0])
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
fractions = st.floats(0, 1, exclude_max=True)
pieces = st.binary(min_size=1, max_size=4)
numbers = st.integers(1, 2000).map(lambda value: value / 100)


@st.composite
def scans(draw: st.DrawFn, grey: Grey = Grey.TRANSMISSION, most: int = 4) -> Scan:
    """Make small scans with any facts."""
    energies = draw(st.integers(1, most))
    shape = (energies, draw(st.integers(1, 12)), draw(st.integers(1, 12)))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    levels = random.integers(0, 65536, shape, dtype=np.uint16)
    levels[draw(st.integers(0, energies - 1))] = draw(st.sampled_from((0, 1, 32768, 65535)))
    falling = st.lists(numbers, min_size=energies, max_size=energies, unique=True)
    endpoints = draw(st.none() | falling.map(lambda values: tuple(sorted(values)[::-1])))
    return Scan(
        np.divide(levels, np.float32(65535), dtype=np.float32),
        grey=grey,
        endpoint_mev=endpoints if grey is Grey.TRANSMISSION else None,
        pixel_pitch_mm=draw(st.none() | st.tuples(numbers, numbers)),
        scanner=draw(st.none() | st.text(max_size=30)),
        acquired_at=draw(st.none() | st.datetimes(timezones=zones)),
        container_numbers=tuple(draw(st.lists(st.text(max_size=12), max_size=3))),
    )


def samples(form: Format, grey: Grey) -> st.SearchStrategy[Scan]:
    """Make scans that a format can hold."""
    return scans(Grey.DISPLAY, 1) if form is jpeg else scans(grey)


def facts(scan: Scan) -> tuple[object, ...]:
    """Return what stands beside the pixels."""
    return (
        scan.grey,
        scan.endpoint_mev,
        scan.pixel_pitch_mm,
        scan.scanner,
        scan.acquired_at,
        scan.container_numbers,
    )


@contextmanager
def frugal(most_bytes: int, seconds: float) -> Iterator[None]:
    """Fail if what is inside takes more memory or time."""
    began = time.process_time()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most_bytes
        assert time.process_time() - began < seconds
    finally:
        tracemalloc.stop()


def example(form: Format, truck: Scan, picture: Scan) -> Scan:
    """Return one scan that a format can hold."""
    return picture if form is jpeg else truck


@pytest.mark.slow
@every_format
@pytest.mark.parametrize("grey", Grey)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_a_scan_survives(form: Format, grey: Grey, data: st.DataObject, tmp_path: Path) -> None:
    """16 bits come back exactly, with every fact; JPEG comes back as the picture it is."""
    scan = data.draw(samples(form, grey))
    again = formats.read(formats.write(scan, tmp_path / f"scan{form.SUFFIXES[0]}"))
    assert facts(again) == facts(scan)
    if form is jpeg:
        assert again.transmission.shape == scan.transmission.shape
    else:
        assert np.array_equal(again.transmission, scan.transmission)


@every_format
def test_the_files_are_named(form: Format, truck: Scan, picture: Scan, tmp_path: Path) -> None:
    """Provenance holds name and digest of every file, and the scan has an identity."""
    files = formats.write(example(form, truck, picture), tmp_path / f"scan{form.SUFFIXES[0]}")
    scan = formats.read(files)
    sources = {source.name: source.sha256 for source in scan.provenance.sources}
    assert sources == {path.name: sha256_of_file(path) for path in files}
    assert scan.sha256


@every_format
def test_only_the_own_files_are_recognised(
    form: Format, truck: Scan, picture: Scan, tmp_path: Path
) -> None:
    """One format, and no other, claims a file, whatever its name."""
    scan = example(form, truck, picture)
    for path in formats.write(scan, tmp_path / f"scan{form.SUFFIXES[0]}"):
        head = path.read_bytes()[:256]
        assert [other for other in FORMATS if other.sniff(head)] == [form]


@every_format
def test_noise_is_of_no_format(form: Format, rng: np.random.Generator) -> None:
    """Empty, short, random and text content is not claimed."""
    for head in (b"", b"\x89", bytes(256), rng.bytes(256), b'{"scan": 1}' * 20):
        assert not form.sniff(head)


@every_format
def test_a_cut_file_is_refused(form: Format, truck: Scan, picture: Scan, tmp_path: Path) -> None:
    """No beginning of a file passes for the whole."""
    files = formats.write(example(form, truck, picture), tmp_path / f"scan{form.SUFFIXES[0]}")
    whole = [path.read_bytes() for path in files]

    @settings(max_examples=2 * EXAMPLES)
    @given(number=st.integers(0, len(files) - 1), fraction=fractions)
    def check(number: int, fraction: float) -> None:
        content = whole[number]
        files[number].write_bytes(content[: int(fraction * len(content))])
        with pytest.raises(ScanFormatError):
            formats.read(files)
        files[number].write_bytes(content)

    check()


@pytest.mark.slow
@every_format
def test_a_damaged_file_does_no_harm(
    form: Format, truck: Scan, picture: Scan, tmp_path: Path
) -> None:
    """Changed bytes give a valid scan or the error of the package, soon and in little memory."""
    files = formats.write(example(form, truck, picture), tmp_path / f"scan{form.SUFFIXES[0]}")
    whole = [path.read_bytes() for path in files]
    edits = st.lists(st.tuples(fractions, pieces), min_size=1, max_size=5)

    @settings(max_examples=3 * EXAMPLES)
    @given(number=st.integers(0, len(files) - 1), edits=edits)
    def check(number: int, edits: list[tuple[float, bytes]]) -> None:
        content = bytearray(whole[number])
        for fraction, piece in edits:
            place = int(fraction * len(content))
            content[place : place + len(piece)] = piece
        files[number].write_bytes(content)
        with frugal(64 << 20, seconds=10.0):
            try:
                formats.read(files, Limits(pixels=1_000_000))
            except ScanFormatError as error:
                assert error.remedy  # noqa: PT017 - the other outcome is fine as well
        files[number].write_bytes(whole[number])

    check()


@every_format
@pytest.mark.parametrize("content", [b"", b"hello, this is a text\n" * 20, bytes(1000)])
def test_other_content_is_refused(form: Format, content: bytes, tmp_path: Path) -> None:
    """An empty file, a text and zeros are refused whatever their names say."""
    path = tmp_path / f"scan{form.SUFFIXES[0]}"
    path.write_bytes(content)
    for paths in (path, (path,)):
        with pytest.raises(ScanFormatError, match="scan"):
            formats.read(paths)
    with pytest.raises(ScanFormatError):
        form.read((path,), Limits())


@every_format
def test_a_scan_within_two_files(form: Format, truck: Scan, picture: Scan, tmp_path: Path) -> None:
    """Two unrelated files are never joined."""
    scan = example(form, truck, picture)
    files = [formats.write(scan, tmp_path / f"{n}{form.SUFFIXES[0]}")[0] for n in "ab"]
    with pytest.raises(ScanFormatError):
        formats.read(files)


@every_format
def test_content_decides_not_the_name(
    form: Format, truck: Scan, picture: Scan, tmp_path: Path
) -> None:
    """A file with a misleading name is read by what is in it."""
    scan = replace(example(form, truck, picture))
    files = formats.write(scan, tmp_path / f"scan{form.SUFFIXES[0]}")
    renamed = [path.rename(tmp_path / f"{number}.bin") for number, path in enumerate(files)]
    assert formats.read(renamed).transmission.shape == scan.transmission.shape
    assert formats.find([tmp_path]) == (tuple(renamed),)


def test_an_unknown_ending_is_refused(truck: Scan, tmp_path: Path) -> None:
    """The message lists the endings that exist."""
    with pytest.raises(ScanFormatError, match=r"\.dcs.*\.png.*\.tif"):
        formats.write(truck, tmp_path / "truck.bmp")


def test_find_groups_and_skips(truck: Scan, tmp_path: Path) -> None:
    """Folders give scans in order, without side-cars, hidden files and halves of a pair."""
    yard = tmp_path / "yard" / "lane 1"
    yard.mkdir(parents=True)
    (tmp_path / ".cache").mkdir()
    pair = formats.write(truck, yard / "b.dcs")
    other = formats.write(truck, yard / "a.dcs")
    single = formats.write(truck, tmp_path / "c.TIF")
    formats.write(truck, tmp_path / ".cache" / "d.png")
    formats.write(truck, yard / ".hidden.png")
    (yard / "b.json").write_text("{}")
    (yard / "broken.png").write_text("no picture")
    found = formats.find([tmp_path])
    assert found == (single, other, pair, (yard / "broken.png",))
    assert formats.find([pair[1]]) == (pair,)
    assert formats.find([pair[1], pair[0], yard]) == (pair, other, (yard / "broken.png",))


def test_find_keeps_what_is_named(tmp_path: Path) -> None:
    """A file named explicitly stays, so that reading it reports what is wrong."""
    path = tmp_path / "notes.json"
    path.write_text("{}")
    assert formats.find([tmp_path]) == ()
    assert formats.find([path]) == ((path,),)
    with pytest.raises(ScanFormatError, match="no such file"):
        formats.find([tmp_path / "missing"])


def test_find_reads_each_header_once(
    truck: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work in a folder grows with its files and not with their square."""
    for number in range(5):
        formats.write(truck, tmp_path / f"{number}.dcs")
    seen: list[Path] = []
    identity: Callable[[Path], dicos.Identity] = dicos.identity

    def count(path: Path) -> dicos.Identity:
        seen.append(path)
        return identity(path)

    monkeypatch.setattr(dicos, "identity", count)
    assert len(formats.find([tmp_path])) == 5
    assert len(seen) == 10


@pytest.mark.parametrize("paths", [(), (Path("missing.png"),), Path("missing.png")])
def test_nothing_to_read_is_refused(paths: Path | tuple[Path, ...]) -> None:
    """No files and missing files raise the error of the package."""
    with pytest.raises(ScanFormatError):
        formats.read(paths)


def test_a_folder_is_no_scan(tmp_path: Path) -> None:
    """Reading a folder is refused; finding what is in it is another function."""
    with pytest.raises(ScanFormatError, match="not a regular file"):
        formats.read(tmp_path)


@pytest.mark.parametrize("suffix", [".tiff", ".dcs"])
@pytest.mark.parametrize("energies", [1, 2])
def test_levels_are_read_as_the_scan_is(
    suffix: str, energies: int, truck: Scan, tmp_path: Path
) -> None:
    """A scan whose pixels stay levels has the facts and, in part and whole, the pixels of read."""
    ends = truck.endpoint_mev
    scan = replace(
        truck,
        transmission=truck.transmission[:energies],
        endpoint_mev=ends[:energies] if ends else None,
    )
    files = write(scan, tmp_path / f"a{suffix}")
    expected, stored = read(list(files)), read_stored(files)
    assert stored is not None
    whole = stored.as_numbers()
    assert np.array_equal(whole.transmission, expected.transmission)
    assert replace(whole, transmission=expected.transmission) == expected


def test_what_is_not_plain_is_not_read_as_levels(
    truck: Scan, picture: Scan, tmp_path: Path
) -> None:
    """Packed, tiled and display files and PNG give None, so that the caller reads numbers."""
    levels = np.rint(truck.transmission[0] * 65535).astype(np.uint16)
    tifffile.imwrite(tmp_path / "packed.tiff", levels, compression="zlib")
    tifffile.imwrite(tmp_path / "tiled.tiff", levels, tile=(16, 16))
    files = [tmp_path / "packed.tiff", tmp_path / "tiled.tiff"]
    files += [*write(truck, tmp_path / "a.png"), *write(picture, tmp_path / "b.dcs")]
    for file in files:
        assert read_stored([file]) is None
        assert read([file]).height > 0
