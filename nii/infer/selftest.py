"""Self-test: a small input that travels with a model, and what the model made of it at export.

Whatever runs the model later has to give the same numbers. The input is made up: coarse blocks of
all grey levels, which no scan shows and which stir every map. All values are stored as fixed-point
integers, so that the file stays far below 100 kB.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from nii.preprocess import CHANNELS, PreprocessSpec

OUTPUTS = (
    "threat_heat",
    "threat_ltrb",
    "structure_centre",
    "structure_inside",
    "structure_ltrb",
)
"""Maps of a model, in order."""
ANOMALY = "anomaly"
"""Map that comes last where a model has it; models made before there was one do not."""
DETAIL_PX = (64, 96)
"""Height and width of the detail: a few cells of the coarsest map."""
OVERVIEW_COLUMNS = 64
_BLOCK_PX = 8
_LEVELS = 97
_INPUT_STEP = 1 / 64
"""Inputs run from 0 to 1.5: attenuation beyond that is rare in scans."""
_OUTPUT_STEP = 1 / 1024
"""A stored value is off by at most half a thousandth."""
MAX_DIFFERENCE = 0.005
"""Largest difference of any value: of a probability, or of a distance relative to the distance
(below one pixel: in pixels). Measured on the shipped model: kernels rounded to the 10 bits of TF32
and FP16 differ by 0.0013, to the 7 bits of BF16 by 0.0067, a kernel without its first channel by
0.001 deep in the network and 0.12 at its entry."""
_LARGEST_FILE_BYTES = 1 << 20
_LARGEST_CONTENT_BYTES = 32 << 20
"""Of one array."""
_MOST_ARRAYS = 2 + len(OUTPUTS) + 1

Maps = Sequence[Float32[np.ndarray, "_ _ _ _"]]
Run = Callable[
    [
        Float32[np.ndarray, "1 channel height width"],
        Float32[np.ndarray, "1 channel overview_height overview_width"],
    ],
    Maps,
]


@dataclass(frozen=True, slots=True)
class SelfTest:
    """An input and the maps that belong to it.

    Attributes:
        detail: scan at native resolution.
        overview: scan at the height of the overview.
        expected: one map for each of :data:`OUTPUTS`, and the anomaly map where there is one.
    """

    detail: Float32[np.ndarray, "1 channel height width"]
    overview: Float32[np.ndarray, "1 channel overview_height overview_width"]
    expected: tuple[Float32[np.ndarray, "1 _ _ _"], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far the numbers of a provider are from those of the export.

    Attributes:
        largest: largest difference, absolute or relative as :data:`MAX_DIFFERENCE` is.
        output: name of the map where it is.
    """

    largest: float
    output: str

    @property
    def passed(self) -> bool:
        """Return whether the numbers are the same for practical purposes."""
        return self.largest <= MAX_DIFFERENCE

    def __str__(self) -> str:
        """Return the outcome in words."""
        word = "passed" if self.passed else "failed"
        return f"{word}: numbers differ by up to {self.largest:.2g} ({self.output})"


def outputs_of(*, anomaly: bool) -> tuple[str, ...]:
    """Return the names of the maps of a model with or without an anomaly map."""
    return (*OUTPUTS, ANOMALY) if anomaly else OUTPUTS


def record(run: Run, spec: PreprocessSpec) -> SelfTest:
    """Make the input, run the model and keep what comes out.

    Args:
        run: the model.
        spec: sizes that the model asks for.
    """
    height, width = (_up(size, spec.detail_multiple) for size in DETAIL_PX)
    columns = _up(OVERVIEW_COLUMNS, spec.overview_multiple)
    detail, overview = _blocks(height, width, 1), _blocks(spec.overview_height, columns, 2)
    maps = run(_values(detail), _values(overview))
    return SelfTest(_values(detail), _values(overview), tuple(np.array(part) for part in maps))


def outcome(test: SelfTest, maps: Maps) -> Outcome:
    """Compare what a provider computed with what the export did."""
    rows = [
        Outcome(_difference(truth, part), name)
        for name, truth, part in zip(_names(test), test.expected, maps, strict=True)
    ]
    return max(rows, key=lambda row: row.largest)


def enlarged(test: SelfTest, height: int, width: int) -> SelfTest:
    """Return an input of about that many pixels by repeating the self-test; nothing is expected."""
    rows, columns = test.detail.shape[2:]
    down, across = max(1, height // rows), max(1, width // columns)
    wide = np.tile(test.overview, (1, 1, 1, max(1, across // 2)))
    return SelfTest(np.tile(test.detail, (1, 1, down, across)), wide, ())


def to_bytes(test: SelfTest) -> bytes:
    """Return a self-test as a compressed NumPy archive."""
    stream = io.BytesIO()
    codes = {
        "detail": _codes(test.detail),
        "overview": _codes(test.overview),
        **{
            name: np.rint(part / _OUTPUT_STEP).astype(np.int32)
            for name, part in zip(_names(test), test.expected, strict=True)
        },
    }
    np.savez_compressed(stream, allow_pickle=False, **codes)
    return stream.getvalue()


def from_bytes(content: bytes) -> SelfTest:
    """Read what :func:`to_bytes` wrote.

    Raises:
        ValueError: it is something else, or far too large.
    """
    if len(content) > _LARGEST_FILE_BYTES:
        msg = f"a self-test of {len(content)} bytes"
        raise ValueError(msg)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.namelist()
            arrays = {Path(name).stem: _array(archive, name) for name in members[:_MOST_ARRAYS]}
        names = outputs_of(anomaly=ANOMALY in arrays)
        detail, overview, *maps = (arrays[name] for name in ("detail", "overview", *names))
    except Exception as error:  # a damaged archive raises almost anything, zlib.error among it
        msg = f"no self-test ({type(error).__name__}: {error})"[:300]
        raise ValueError(msg) from error
    kinds = [(part.dtype.str[1:], part.ndim) for part in (detail, overview, *maps)]
    if kinds != [("u1", 3)] * 2 + [("i4", 4)] * len(names):
        msg = "a self-test with other arrays"
        raise ValueError(msg)
    expected = tuple(part.astype(np.float32) * np.float32(_OUTPUT_STEP) for part in maps)
    return SelfTest(_values(detail), _values(overview), expected)


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return one array of an archive; never more of it than its own header accounts for."""
    with archive.open(name) as stream:
        raw = stream.read(_LARGEST_CONTENT_BYTES)
    head = io.BytesIO(raw)
    if np.lib.format.read_magic(head) != (1, 0):
        msg = "another version of the array format"
        raise ValueError(msg)
    shape, by_columns, kind = np.lib.format.read_array_header_1_0(head)
    if by_columns or kind.hasobject or math.prod(shape) * kind.itemsize != len(raw) - head.tell():
        msg = f"an array of {shape} {kind} in {len(raw)} bytes"
        raise ValueError(msg)
    return np.frombuffer(raw, kind, offset=head.tell()).reshape(shape)


def _blocks(height: int, width: int, seed: int) -> UInt8[np.ndarray, "channel height width"]:
    rng = np.random.default_rng(seed)
    cells = (len(CHANNELS), -(-height // _BLOCK_PX), -(-width // _BLOCK_PX))
    coarse = rng.integers(0, _LEVELS, cells, dtype=np.uint8)
    fine = coarse.repeat(_BLOCK_PX, axis=1).repeat(_BLOCK_PX, axis=2)
    return np.ascontiguousarray(fine[:, :height, :width])


def _values(
    codes: UInt8[np.ndarray, "channel height width"],
) -> Float32[np.ndarray, "1 channel height width"]:
    return codes[None].astype(np.float32) * np.float32(_INPUT_STEP)


def _codes(
    values: Float32[np.ndarray, "1 channel height width"],
) -> UInt8[np.ndarray, "channel height width"]:
    codes: UInt8[np.ndarray, "channel height width"] = np.rint(values[0] / _INPUT_STEP).astype(
        np.uint8
    )
    return codes


def _names(test: SelfTest) -> tuple[str, ...]:
    return outputs_of(anomaly=len(test.expected) > len(OUTPUTS))


def _difference(
    truth: Float32[np.ndarray, "_ _ _ _"],
    found: Float32[np.ndarray, "_ _ _ _"],
) -> float:
    if truth.shape != found.shape:
        return float("inf")
    # A value that is no number is no agreement.
    absolute = np.nan_to_num(np.abs(truth - found), nan=np.inf, posinf=np.inf)
    return float((absolute / np.maximum(np.abs(truth), 1)).max(initial=0))


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
