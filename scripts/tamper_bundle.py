"""Change a signed bundle byte by byte: the runner must refuse every one of the changes.

    python scripts/tamper_bundle.py [BUNDLE] [SAMPLES]

Of a tiny bundle with a real model every byte of every file is changed, one at a time; of BUNDLE
(models/compact where none is named) SAMPLES places, spread evenly over each file, at least 64 a
file. Then each file of both is cut, lengthened, emptied, removed and doubled under another name.
Each time the bundle is opened as `nii inspect` opens it, with the key that signed it trusted.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from nii import dsse
from nii.bundle import read_bundle
from nii.errors import BundleError
from nii.infer.detect import Detector
from nii.infer.runtime import CPU, ProviderSettings
from nii.trust import Trust, add_key, sign_bundle

_LEAST = 64
_SETTINGS = ProviderSettings((CPU,), threads=1)
_TINY = Path(__file__).parents[1] / "tests" / "infer" / "conftest.py"


def tiny_bundle_in(folder: Path) -> Path:
    """Return the bundle that the tests of inference use."""
    spec = importlib.util.spec_from_file_location("tiny", _TINY)
    if spec is None or spec.loader is None:
        raise SystemExit(f"no {_TINY}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Path = module.tiny_bundle_in(folder).folder
    return made


def opens(folder: Path, rules: Trust) -> bool:
    """Tell whether the runner would run a bundle."""
    try:
        Detector.open(folder, _SETTINGS, rules)
    except BundleError:
        return False
    return True


def places(size: int, samples: int | None) -> Iterator[int]:
    """Yield every place of a file, or some that are spread evenly."""
    if samples is None or samples >= size:
        yield from range(size)
    else:
        yield from np.linspace(0, size - 1, samples).astype(int).tolist()


def changed_bytes(folder: Path, rules: Trust, samples: int | None) -> tuple[int, list[str]]:
    """Change one byte at a time; return how many, and the changes that were not refused."""
    rng = np.random.default_rng(0)
    total = sum(path.stat().st_size for path in folder.iterdir())
    tried, unnoticed = 0, []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        share = None if samples is None else max(_LEAST, samples * len(content) // total)
        for place in places(len(content), share):
            other = content[place] ^ int(rng.integers(1, 256))
            path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
            tried += 1
            if opens(folder, rules):
                unnoticed.append(f"{path.name}, byte {place}")
        path.write_bytes(content)
    return tried, unnoticed


def changed_files(folder: Path, rules: Trust) -> tuple[int, list[str]]:
    """Cut, lengthen, empty, remove and double each file; return the same."""
    tried, unnoticed = 0, []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        for word, other in (
            ("cut", content[:-1]),
            ("lengthened", content + b"\n"),
            ("emptied", b""),
            ("removed", None),
        ):
            path.unlink()
            if other is not None:
                path.write_bytes(other)
            tried += 1
            if opens(folder, rules):
                unnoticed.append(f"{path.name} {word}")
            path.write_bytes(content)
        double = path.with_name(f"copy of {path.name}")
        double.write_bytes(content)
        tried += 1
        if opens(folder, rules):
            unnoticed.append(f"{path.name} doubled")
        double.unlink()
    return tried, unnoticed


def main(words: list[str]) -> int:
    """Try all changes and print what came of them."""
    shipped = Path(words[0]) if words else Path("models/compact")
    samples = int(words[1]) if len(words) > 1 else 5000
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        key = dsse.new_key()
        add_key(place / "trust", dsse.write_key_pair(place / "signer", key))
        rules = Trust(place / "trust")
        copy = Path(shutil.copytree(shipped, place / "copy"))
        for folder, most in ((tiny_bundle_in(place / "tiny"), None), (copy, samples)):
            sign_bundle(read_bundle(folder), key, datetime.now(UTC))
            if not opens(folder, rules):
                raise SystemExit(f"{folder} is refused although nothing was changed")
            start = time.monotonic()
            for act, found in (
                ("bytes", changed_bytes(folder, rules, most)),
                ("files", changed_files(folder, rules)),
            ):
                print(f"{folder.name}: {found[0]} changes of {act}, {len(found[1])} not refused")
                faults += found[1]
            print(f"{folder.name}: {time.monotonic() - start:.0f} s")
    print("\n".join(faults) or "every change was refused")
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
