"""Feed damaged and hostile files to every reader: none may crash, hang, or take much memory.

    python scripts/fuzz_formats.py --inputs 100000 [--seed 0] [--out FOLDER]

Each input is a good file of some format with some bytes changed, moved, lost or doubled; in half of
the cases its check sums are mended, so that the damage gets past them. Readers run in a child
process that may take 2 GiB of address space beyond its imports and 10 s of the processor an input;
one that dies is started again behind the input that killed it. Input k of a seed is always the
same. A scan that is accepted goes on through health, picture and preprocessing, and must be the
same scan whether read as levels or as numbers. Inputs that found a fault are kept in FOLDER. POSIX
only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import fuzz_seeds
import numpy as np
from fuzz_seeds import Files

from nii import formats
from nii.annotations.coco import read_coco
from nii.annotations.voc import parse_voc
from nii.annotations.yolo import parse_yolo
from nii.bundle import read_bundle
from nii.errors import NiiError
from nii.infer import selftest
from nii.infer.health import health_of
from nii.infer.overlay import render_grey
from nii.preprocess import PreprocessSpec, preprocess
from nii.serve import tensors
from nii.watch import sidecar

MEMORY_BYTES = 2 << 30
SECONDS = 10
"""Of processor time, which other work on the machine does not change."""
_ASLEEP_S = 300
"""On the clock: whoever waits that long waits for nothing."""
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WORDS = (b"-1", b"0", b"1e999", b"NaN", b"99999999999999999999", b"null", b"[]", b"{}", b'"x"')
_NO_MEMORY = ("MemoryError", "nsufficient memory", "ailed to allocate", "nable to allocate")


@dataclass(frozen=True, slots=True)
class Target:
    """What is fuzzed: good files, and the reader that takes them."""

    seeds: tuple[Files, ...]
    read: Callable[[Path], object]


def targets() -> dict[str, Target]:
    """Return everything that is fuzzed."""
    made, shipped = fuzz_seeds.scans(), Path("models/compact")
    test = (shipped / "selftest.npz").read_bytes()
    labels = (("a.json", fuzz_seeds.coco()), ("a.png", b""))
    shares = b"0 0.5 0.5 0.2 0.1\n1 0.1 0.1 0.1 0.1\n"
    return {
        "tiff": Target(fuzz_seeds.tiffs(made), whole_way),
        "png": Target(fuzz_seeds.pngs(made), whole_way),
        "jpeg": Target(fuzz_seeds.jpegs(made), whole_way),
        "dicos": Target(fuzz_seeds.dicoses(made), whole_way),
        "voc": Target(((("a.xml", fuzz_seeds.voc()),),), lambda p: parse_voc(p / "a.xml")),
        "yolo": Target(((("a.txt", shares),),), lambda p: parse_yolo(p / "a.txt")),
        "coco": Target((labels,), lambda p: read_coco(p / "a.json", p)),
        "sidecar": Target(fuzz_seeds.sidecars(), all_sidecars),
        "request": Target(((("a.json", fuzz_seeds.order()),),), request),
        "selftest": Target(((("a.npz", test),),), self_test),
        "bundle": Target((fuzz_seeds.bundle(shipped),), read_bundle),
    }


def whole_way(folder: Path) -> None:
    """Read what is in a folder as scans and go on with each as an inspection does."""
    for files in formats.find([folder]):
        levels = formats.read_stored(files)
        scan = formats.read(list(files))
        if levels is not None:
            assert np.array_equal(levels.as_numbers().transmission, scan.transmission)  # noqa: S101
            assert levels.sha256 == scan.sha256  # noqa: S101
        for one in (scan, levels):
            if one is not None:
                health_of(one)
                assert render_grey(one).shape == (one.height, one.width)  # noqa: S101
                assert np.isfinite(preprocess(one, PreprocessSpec()).detail).all()  # noqa: S101


def all_sidecars(folder: Path) -> object:
    """Read facts beside scans."""
    return [sidecar.read(path) for path in folder.iterdir()]


def request(folder: Path) -> object:
    """Read a request of the Open Inference Protocol."""
    return tensors.parse((folder / "a.json").read_bytes(), None, ("m",))


def self_test(folder: Path) -> object:
    """Read a self-test; it says what is wrong with a ValueError."""
    try:
        return selftest.from_bytes((folder / "a.npz").read_bytes())
    except ValueError as error:
        raise NiiError("self-test", found=str(error), expected="one", remedy="none") from error


def damaged(rng: np.random.Generator, good: Files, others: Sequence[Files]) -> Files:
    """Return files of which one or more are damaged."""
    files = list(good)
    for row in range(len(files)):
        if row and rng.random() < 0.5:  # noqa: PLR2004
            continue
        name, content = files[row]
        if rng.random() < 0.02:  # noqa: PLR2004
            content = content[: int(rng.integers(0, 140))] + rng.bytes(int(rng.integers(0, 400)))
        for _ in range(1 + int(rng.geometric(0.6))):
            content = CHANGES[rng.integers(len(CHANGES))](rng, content, others)
        if rng.random() < 0.5:  # noqa: PLR2004
            content = mended(rng, content)
        files[row] = (name, content)
    if len(files) > 1 and rng.random() < 0.1:  # noqa: PLR2004
        del files[int(rng.integers(len(files)))]
    return tuple(files)


def _place(rng: np.random.Generator, content: bytes) -> int:
    """Return a place, every other time near the head, where the structure is."""
    most = len(content) if rng.random() < 0.5 else min(len(content), 512)  # noqa: PLR2004
    return int(rng.integers(0, max(1, most)))


def _span(rng: np.random.Generator) -> int:
    return int(2 ** rng.uniform(0, 9))


def flip(rng: np.random.Generator, content: bytes, _others: Sequence[Files]) -> bytes:
    """Flip one bit."""
    at, changed = _place(rng, content), bytearray(content or b"x")
    changed[at % len(changed)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def number(rng: np.random.Generator, content: bytes, _others: Sequence[Files]) -> bytes:
    """Put a telling number somewhere, one to eight bytes wide, in either order."""
    form = "<>"[int(rng.integers(2))] + "BHIQ"[int(rng.integers(4))]
    size = struct.calcsize(form)
    value = _NUMBERS[int(rng.integers(len(_NUMBERS)))] & ((1 << 8 * size) - 1)
    at = _place(rng, content)
    at -= at % 2 if rng.random() < 0.5 else 0  # noqa: PLR2004
    return content[:at] + struct.pack(form, value) + content[at + size :]


def word(rng: np.random.Generator, content: bytes, _others: Sequence[Files]) -> bytes:
    """Put a telling word in the place of digits or letters."""
    at, wide = _place(rng, content), int(rng.integers(0, 8))
    return content[:at] + _WORDS[int(rng.integers(len(_WORDS)))] + content[at + wide :]


def cut(rng: np.random.Generator, content: bytes, _others: Sequence[Files]) -> bytes:
    """Lose the end."""
    return content[: _place(rng, content)]


def lose(rng: np.random.Generator, content: bytes, _others: Sequence[Files]) -> bytes:
    """Lose some bytes."""
    at = _place(rng, content)
    return content[:at] + content[at + _span(rng) :]


def double(rng: np.random.Generator, content: bytes, _others: Sequence[Files]) -> bytes:
    """Double some bytes, now and then many times."""
    at, wide = _place(rng, content), _span(rng)
    times = 2 if rng.random() < 0.8 else int(rng.integers(2, 200))  # noqa: PLR2004
    return content[:at] + times * content[at : at + wide] + content[at + wide :]


def noise(rng: np.random.Generator, content: bytes, _others: Sequence[Files]) -> bytes:
    """Put noise over some bytes."""
    at, wide = _place(rng, content), _span(rng)
    return content[:at] + rng.bytes(wide) + content[at + wide :]


def flood(rng: np.random.Generator, content: bytes, _others: Sequence[Files]) -> bytes:
    """Put one value over some bytes."""
    at, wide = _place(rng, content), _span(rng)
    return content[:at] + bytes([int(rng.integers(256))]) * wide + content[at + wide :]


def splice(rng: np.random.Generator, content: bytes, others: Sequence[Files]) -> bytes:
    """Go on with the rest of another good file."""
    group = others[int(rng.integers(len(others)))]
    other = group[int(rng.integers(len(group)))][1]
    return content[: _place(rng, content)] + other[_place(rng, other) :]


CHANGES = (flip, flip, number, number, number, word, cut, lose, double, noise, flood, splice)


def mended(rng: np.random.Generator, content: bytes) -> bytes:
    """Mend the check sums of PNG; now and then damage its pixels before they are packed again."""
    if not content.startswith(b"\x89PNG"):
        return content
    at, parts = 8, [content[:8]]
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4])
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        if kind == b"IDAT" and rng.random() < 0.3:  # noqa: PLR2004
            data = _repacked(rng, data)
        check = struct.pack(">I", zlib.crc32(kind + data))
        parts.append(struct.pack(">I", len(data)) + kind + data + check)
        at += 12 + length
    return b"".join(parts)


def _repacked(rng: np.random.Generator, data: bytes) -> bytes:
    try:
        raw = zlib.decompress(data)
    except zlib.error:
        return data
    return zlib.compress(noise(rng, raw, ()), 1)


def input_of(seed: int, index: int, known: Mapping[str, Target]) -> tuple[str, Files]:
    """Return input `index` of a seed, and what reads it."""
    rng = np.random.default_rng([seed, index])
    names = list(known)
    # The formats of scans get four shares each, all others one.
    weights = np.asarray([4.0 if known[name].read is whole_way else 1.0 for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    seeds = known[name].seeds
    return name, damaged(rng, seeds[int(rng.integers(len(seeds)))], seeds)


def judge(target: Target, files: Files, folder: Path) -> str:
    """Return what a reader made of an input: ``read``, ``refused`` or what is wrong with it."""
    for old in folder.iterdir():
        old.unlink()
    for name, content in files:
        (folder / name).write_bytes(content)
    try:
        target.read(folder)
    except NiiError as error:
        text = str(error)
        return "too much memory" if any(word in text for word in _NO_MEMORY) else "refused"
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return f"{type(error).__name__}: {error}"[:300]
    return "read"


def child(seed: int, start: int, stop: int) -> None:
    """Read inputs one after the other; say before each which one it is, and after it what came."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    cv2.setNumThreads(1)
    known = targets()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with tempfile.TemporaryDirectory() as name:
        for index in range(start, stop):
            kind, files = input_of(seed, index, known)
            os.write(1, f"{index} {kind}\n".encode())
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(_ASLEEP_S)
            begun = time.process_time()
            verdict = judge(known[kind], files, Path(name))
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            spent = time.process_time() - begun
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            os.write(1, (json.dumps([verdict, spent, peak]) + "\n").encode())


@dataclass
class Tally:
    """What came of all inputs."""

    counts: Counter[tuple[str, str]]
    faults: list[tuple[int, str, str]]
    slowest: tuple[float, int] = (0.0, -1)
    peak_mib: int = 0


def run(seed: int, inputs: int, first: int = 0) -> Tally:
    """Feed all inputs to children, each of which goes on where the one before ended."""
    tally = Tally(Counter(), [])
    following, stop = first, first + inputs
    while following < stop:
        words = [sys.executable, __file__, "--child", str(seed), str(following), str(stop)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert process.stdout  # noqa: S101 - mypy
        kind, answered = "start", True
        for line in process.stdout:
            if not line.startswith("["):
                index, kind = line.split()
                following, answered = int(index), False
                continue
            verdict, spent, peak = json.loads(line)
            _count(tally, following, kind, verdict)
            tally.slowest = max(tally.slowest, (spent, following))
            tally.peak_mib = max(tally.peak_mib, peak)
            following, answered = following + 1, True
        code = process.wait()
        if not answered:
            took = (
                "it hung"
                if code in (-signal.SIGALRM, -signal.SIGPROF)
                else f"it ended the process ({code})"
            )
            _count(tally, following, kind, took)
            following += 1
        elif code:
            msg = f"a child ended with {code} between two inputs"
            raise SystemExit(msg)
    return tally


def _count(tally: Tally, index: int, kind: str, verdict: str) -> None:
    outcome = verdict if verdict in ("read", "refused") else "FAULT"
    tally.counts[kind, outcome] += 1
    if outcome == "FAULT":
        tally.faults.append((index, kind, verdict))
        print(f"input {index}, {kind}: {verdict}", flush=True)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for inputs that found a fault")
    parser.add_argument("--child", type=int, nargs=3, help="for this script itself")
    words = parser.parse_args()
    if words.child:
        child(*words.child)
        return 0
    begun = time.monotonic()
    tally = run(words.seed, words.inputs, words.first)
    for kind in dict.fromkeys(kind for kind, _ in tally.counts):
        row = {outcome: count for (k, outcome), count in tally.counts.items() if k == kind}
        print(f"{kind:9} {sum(row.values()):7} inputs: {row}")
    print(
        f"{words.inputs} inputs in {time.monotonic() - begun:.0f} s, {len(tally.faults)} faults; "
        f"slowest {tally.slowest[0]:.2f} s (input {tally.slowest[1]}), peak {tally.peak_mib} MiB"
    )
    if words.out:
        known = targets()
        for index, kind, _ in tally.faults:
            folder = words.out / f"{index}-{kind}"
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in input_of(words.seed, index, known)[1]:
                (folder / name).write_bytes(content)
    return int(bool(tally.faults))


if __name__ == "__main__":
    raise SystemExit(main())
