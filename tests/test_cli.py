"""Tests of :mod:`nii.cli`: exit codes, files and messages, mostly as a user gets them."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nii import cli, formats
from nii.cli_station import BUNDLE_VARIABLE
from nii.errors import BundleError, ConfigError
from nii.scan import Scan

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    """Return the module that builds the tiny model and its scans."""
    path = ROOT / "tests" / "infer" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_model_for_cli", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bundle(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a real, tiny bundle."""
    made: Path = tiny.tiny_bundle_in(tmp_path_factory.mktemp("models") / "tiny").folder
    return made


@pytest.fixture
def scans(tiny: ModuleType, tmp_path: Path) -> Path:
    """Return a folder with two good scans, one under a hostile name."""
    folder = tmp_path / "scans"
    folder.mkdir()
    formats.write(tiny.tiny_scan(), folder / "plain.tiff")
    formats.write(tiny.tiny_scan(()), folder / "<img src=x onerror=alert(1)> \x1b[31m&.png")
    return folder


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return how nii is called as a program, without a terminal."""

    def call(*words: object) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k != BUNDLE_VARIABLE}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
        command = [sys.executable, "-m", "nii.cli", *map(str, words)]
        return subprocess.run(  # noqa: S603 - our own program
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return call


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_all_good_is_zero(run: Run, scans: Path, bundle: Path, tmp_path: Path) -> None:
    """Good scans, one under a hostile name: code 0, all files, and no control character."""
    out = tmp_path / "out"
    answer = run("inspect", scans, "--out", out, "--bundle", bundle, "--allow-unsigned")
    assert answer.returncode == 0, answer.stderr
    assert (out / "index.html").is_file()
    assert len(list(out.glob("*.inspection.json"))) == 2
    assert len(list(out.glob("*.overlay.png"))) == 2
    assert "2 inspected, 0 failed" in answer.stdout
    assert "ran on CPUExecutionProvider" in answer.stdout
    assert "\x1b" not in answer.stdout + answer.stderr
    assert "<img" not in (out / "index.html").read_text("utf-8")


@pytest.mark.slow
def test_a_bad_file_among_good_ones_is_one(
    run: Run, scans: Path, bundle: Path, tmp_path: Path
) -> None:
    """A broken file: code 1, its reason on the error stream and in the report, the others done."""
    (scans / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    out = tmp_path / "out"
    words = ("inspect", scans, "--out", out, "--bundle", bundle, "--quiet", "--allow-unsigned")
    answer = run(*words)
    assert answer.returncode == 1
    assert answer.stdout == ""
    complaints = [line for line in answer.stderr.splitlines() if not line.startswith("nii: WARN")]
    assert len(complaints) == 1
    assert "broken.png" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert len(list(out.glob("*.inspection.json"))) == 2
    assert "broken.png" in (out / "index.html").read_text("utf-8")


def test_wrong_usage_is_two(run: Run, bundle: Path, tmp_path: Path) -> None:
    """An unknown flag from outside: code 2 and one message."""
    answer = run("inspect", tmp_path, "--out", tmp_path / "o", "--bundle", bundle, "--verbos")
    assert answer.returncode == 2
    assert "--verbos" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), ""),
        (("bogus",), "bogus"),
        (("inspect", "x.tiff"), "--out"),
        (("inspect", "{tmp}/absent.tiff", "--out", "{tmp}/o"), "absent.tiff"),
        (("inspect", "{tmp}", "--out", "{tmp}/o"), "no scan"),
        (("inspect", "{tmp}", "--out", "{tmp}/o", "--threads", "0"), "threads"),
        (("simulate", "--out", "{tmp}/o", "--threats", "2"), "threats"),
        (("bundle", "repair", "{tmp}"), "repair"),
        (("bundle", "sign", "{tmp}"), "--key"),
        (("verify", "{tmp}"), "inspection.json"),
        (("train", "{tmp}/absent.toml"), "absent.toml"),
        (("train", "{root}/configs/smoke.toml", "--without", "bricks"), "one of firearm, brick"),
    ],
)
def test_usage_errors_are_two(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every mistake in the call is code 2, with the thing that is wrong in the message."""
    assert cli.main([word.format(tmp=tmp_path, root=root) for word in words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_help_and_version_are_zero(capsys: pytest.CaptureFixture[str]) -> None:
    """Help exists for every command, with an example; the version is that of the package."""
    import nii

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == nii.__version__
    for command in cli.COMMANDS:
        name = cli.name_of(command)
        assert cli.main([name, "--help"]) == 0
        assert f"Example: nii {name}" in capsys.readouterr().out


def test_an_unsigned_bundle_is_refused(
    scans: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A runner does not start with a bundle that nobody vouches for, and says what to do."""
    words = ["inspect", str(scans), "--out", str(tmp_path / "o"), "--bundle", str(bundle)]
    assert cli.main(words) == 1
    assert "--allow-unsigned" in capsys.readouterr().err
    worker = ["worker", str(scans), "--store", str(tmp_path / "s"), "--bundle", str(bundle)]
    assert cli.main([*worker, "--once"]) == 1
    assert "--allow-unsigned" in capsys.readouterr().err


def test_signed_findings_are_verified(
    scans: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What inspect --sign writes is accepted by verify, until one finding changes."""
    out, key, trust = tmp_path / "o", tmp_path / "lane1", tmp_path / "trust"
    own = ["--trust", str(trust)]
    assert cli.main(["bundle", "keygen", str(key)]) == 0
    assert cli.main(["bundle", "trust", f"{key}.pub", *own]) == 0
    words = ["inspect", str(scans / "plain.tiff"), "--out", str(out), "--bundle", str(bundle)]
    assert cli.main([*words, "--allow-unsigned", "--sign", str(key)]) == 0
    assert cli.main(["verify", str(out), *own]) == 0
    assert "signed by lane1" in capsys.readouterr().out
    (finding,) = out.glob("*.inspection.json")
    assert json.loads(finding.read_text("utf-8"))["model"]["signer"] is None
    finding.write_bytes(finding.read_bytes() + b" ")
    assert cli.main(["verify", str(out), *own]) == 1
    assert "was changed" in capsys.readouterr().err


def test_a_required_gpu_that_is_absent_is_one(
    scans: Path,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With --require-gpu nothing runs on the CPU in silence."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    words = ["inspect", str(scans), "--out", str(tmp_path / "o"), "--bundle", str(bundle)]
    assert cli.main([*words, "--require-gpu", "--allow-unsigned"]) == 1
    assert "offers no GPU" in capsys.readouterr().err


def _raise(error: BaseException) -> Callable[..., int]:
    def command() -> int:
        """Fail."""
        raise error

    command.__name__ = "fail"
    return command


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (BundleError("b", found="f", expected="e", remedy="Do r."), 1, "b: found f; expected e."),
        (ConfigError("c", found="f", expected="e", remedy="Do r."), 2, "Do r."),
        (ModuleNotFoundError("no", name="torch.nn"), 1, "training needs: pip install 'nii[train]'"),
        (ModuleNotFoundError("no", name="jinja2"), 1, "the web app needs: pip install"),
        (PermissionError(13, "denied", "/x"), 1, "access rights"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_become_codes_and_one_message(
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a user can act upon is one message, never a trace."""
    monkeypatch.setattr(cli, "COMMANDS", (_raise(error),))
    assert cli.main(["fail"]) == code
    assert message in capsys.readouterr().err


def test_a_fault_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing module that no extra brings keeps its trace."""
    monkeypatch.setattr(cli, "COMMANDS", (_raise(ModuleNotFoundError("no", name="nii.absent")),))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["fail"])


@pytest.mark.slow
def test_simulate_makes_labelled_scans_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One scan with its label; the second call makes nothing anew."""
    out = tmp_path / "made"
    words = ["simulate", "--out", str(out), "--count", "1", "--seed", "3", "--preset", "linac_6"]
    assert cli.main(words) == 0
    (scan,) = formats.find([out / "scans"])
    before = scan[0].stat().st_mtime_ns
    labels = json.loads((out / "annotations.json").read_text("utf-8"))
    assert len(labels["images"]) == 1
    assert cli.main(words) == 0
    assert scan[0].stat().st_mtime_ns == before
    assert "annotations.json" in capsys.readouterr().out


def test_quality_judges_scans_by_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code 0 within the limits, 1 beyond them, 2 for a word that names nothing or no scan."""
    rng = np.random.default_rng(0)
    plane = rng.normal(0.99, 0.004, (1, 96, 128)).astype(np.float32)
    formats.write(Scan(plane), tmp_path / "air.tiff")
    out, words = tmp_path / "out", ["quality", str(tmp_path / "air.tiff"), "--out"]
    assert cli.main([*words, str(out)]) == 0
    assert json.loads((out / "quality.json").read_text("utf-8"))["passed"] is True
    assert (out / "quality.html").is_file()
    strict = tmp_path / "strict.toml"
    strict.write_text('[scan.noise_air_percent]\nat_most = 0.1\nsource = "assumption"\n', "utf-8")
    assert cli.main([*words, str(out), "--limits", str(strict)]) == 1
    assert "not all passed" in capsys.readouterr().out
    assert cli.main(["quality", "linac_7", "--out", str(out)]) == 2
    (tmp_path / "empty").mkdir()
    assert cli.main(["quality", str(tmp_path / "empty"), "--out", str(out)]) == 2


ODD_NAMES = (
    "  spaces  .tiff",
    "货柜 🚢 حاوية.tiff",
    "\u202ereversed\u2066.tiff",
    "e\u0301 and é.tiff",
    "line\nfeed\ttab.tiff",
    "-n --out 'quoted' $(x) %s {0} *.tiff",
    "CON.tiff",
    os.fsdecode(b"no utf8 \xff.tiff"),
    "ä" * 120 + ".tiff",
)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["inspect", "watch", "score"])
def test_any_path_will_do(
    command: str, tiny: ModuleType, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names of any script, bytes that are no text, paths beyond 260 characters: all inspected."""
    deep = tmp_path.joinpath("lane", *["Güter 货 " + "x" * 100] * 3)
    deep.mkdir(parents=True)
    for number, name in enumerate(ODD_NAMES):
        scan = tiny.tiny_scan()
        moved = dataclasses.replace(scan, transmission=np.roll(scan.transmission, number, 2))
        formats.write(moved, deep / "plain.tiff")[0].rename(deep / name)
    out = tmp_path.joinpath("out", *["Ergebnis " + "y" * 120] * 3)
    words = {
        "inspect": ["inspect", str(tmp_path / "lane"), "--threads", "1"],
        "watch": ["watch", str(tmp_path / "lane"), "--once", "--finished.by", "rename"],
        "score": ["score", str(tmp_path / "lane"), "--workers", "1"],
    }[command]
    options = ["--out", str(out), "--bundle", str(bundle), "--allow-unsigned", "--quiet"]
    assert cli.main([*words, *options]) == 0, capsys.readouterr().err
    if command == "score":
        parquet = pytest.importorskip(
            "pyarrow.parquet", reason="the extra [score] is not installed"
        )
        table = parquet.read_table(out / "scans").to_pydict()
        assert table["error"] == [None] * len(ODD_NAMES)
        return
    written = list(out.glob("*.inspection.json"))
    assert len(written) == len(ODD_NAMES)
    assert len(list(out.glob("*.overlay.png"))) == len(ODD_NAMES)
    seen = {json.loads(path.read_text("utf-8"))["scan"]["sha256"] for path in written}
    assert len(seen) == len(ODD_NAMES)


@pytest.mark.slow
def test_further_forms_are_written_on_request(
    run: Run, scans: Path, bundle: Path, tmp_path: Path
) -> None:
    """--format adds tables and threat detection reports; an unknown form is code 2."""
    out = tmp_path / "out"
    words = ("inspect", scans, "--out", out, "--bundle", bundle, "--allow-unsigned", "--format")
    assert run(*words, "csv,coco,dicos-tdr").returncode == 0
    assert (out / "regions.csv").is_file()
    assert len(json.loads((out / "regions.coco.json").read_text("utf-8"))["images"]) == 2
    assert len(list(out.glob("*.tdr.dcs"))) == 2
    answer = run(*words, "excel")
    assert answer.returncode == 2
    assert "csv, coco, parquet, dicos-tdr" in answer.stderr
