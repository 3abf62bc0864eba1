"""What an artefact was made of."""

from __future__ import annotations

import hashlib
import json
from itertools import permutations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nii.provenance import (
    Provenance,
    SourceFile,
    sha256_of_bytes,
    sha256_of_file,
    sha256_of_sources,
)

digests = st.binary(max_size=4).map(sha256_of_bytes)
plain = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
records = st.builds(
    Provenance,
    tool=st.text(max_size=9),
    sources=st.lists(st.builds(SourceFile, st.text(max_size=9), digests), max_size=3).map(tuple),
    steps=st.lists(st.text(max_size=9), max_size=3).map(tuple),
    settings=st.dictionaries(st.text(max_size=5), plain | st.lists(plain, max_size=2), max_size=3),
)


@given(records)
def test_round_trip_through_json_text(record: Provenance) -> None:
    """A record written as JSON text comes back equal."""
    assert Provenance.from_json(json.loads(json.dumps(record.to_json()))) == record


@given(records, st.text(max_size=9))
def test_a_step_is_added_at_the_end(record: Provenance, step: str) -> None:
    """A further step leaves the record itself and everything before it as it was."""
    steps = record.steps
    assert record.with_step(step).steps == (*steps, step)
    assert record.steps == steps


def test_file_digest_is_that_of_its_bytes(tmp_path: Path) -> None:
    """A file longer than one piece has the digest of its whole content."""
    content = bytes(range(256)) * 8193
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    assert sha256_of_file(path) == sha256_of_bytes(content) == hashlib.sha256(content).hexdigest()


def test_digest_of_several_files_ignores_order_and_names() -> None:
    """The same files in another order or under other names are the same scan."""
    sources = tuple(SourceFile(f"{n}.tif", sha256_of_bytes(bytes([n]))) for n in range(3))
    renamed = tuple(SourceFile("x", source.sha256) for source in sources)
    whole = {sha256_of_sources(order) for order in permutations(sources)}
    assert whole == {sha256_of_sources(renamed)}
    assert sha256_of_sources(sources[:2]) not in whole
