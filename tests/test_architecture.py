"""The shape of the house: twins, sizes, the tree in the README, and what an import may load."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nii

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "nii"
MIGRATIONS = PACKAGE / "store" / "migrations"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if MIGRATIONS not in path.parents)
LARGEST_FILE_BYTES = 6 << 20
LARGEST_MODEL_BYTES = 16 << 20

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    """Return a path as it is written from the root."""
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[Function]:
    """Yield every function of a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, Function):
            yield node


def files_of_the_project() -> list[Path]:
    """Return every file that is or would be committed; the test skips outside a checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)  # noqa: S603
    if listing.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def twins(path: Path) -> list[Path]:
    """Return the places where the tests of a module may lie; none for a package without code."""
    relative = path.relative_to(PACKAGE)
    if path.name != "__init__.py":
        return [ROOT / "tests" / relative.parent / f"test_{path.name}"]
    body = ast.parse(path.read_text("utf-8")).body
    if relative.parent == Path() or not any(isinstance(n, Function | ast.ClassDef) for n in body):
        return []
    folder = ROOT / "tests" / relative.parent
    return [folder / f"test_{folder.name}.py", folder.parent / f"test_{folder.name}.py"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_has_a_twin(path: Path) -> None:
    """The tests of nii/a/x.py are in tests/a/test_x.py."""
    places = twins(path)
    assert not places or any(place.is_file() for place in places), [name_of(p) for p in places]


def test_every_test_file_has_a_subject() -> None:
    """No tests are left behind by a module that moved."""
    about_the_whole = {
        "test_architecture.py",
        "test_browser.py",
        "test_docs.py",
        "test_end_to_end.py",
        "test_real_data.py",
        "test_scripts.py",
        "test_survival.py",
    }
    known = {place for path in MODULES for place in twins(path)}
    scripts = (PACKAGE / "review" / "static").rglob("*.js")  # in tests/review/static, one to one
    known |= {
        ROOT / "tests" / path.relative_to(PACKAGE).parent / f"test_{path.stem}.py"
        for path in scripts
    }
    known |= {ROOT / "tests" / "store" / "test_migrations.py"}
    orphans = [
        name_of(path)
        for path in (ROOT / "tests").rglob("test_*.py")
        if path not in known and path.name not in about_the_whole
    ]
    assert not orphans


@pytest.mark.parametrize("path", [*MODULES, *(ROOT / "tests").rglob("*.py")], ids=name_of)
def test_files_are_short(path: Path) -> None:
    """No file is longer than 500 lines."""
    assert len(path.read_text("utf-8").splitlines()) <= 500


@pytest.mark.slow
def test_functions_are_short() -> None:
    """Nine functions of ten have at most 30 lines, and none more than 120."""
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in MODULES
        for node in functions(path)
    )
    assert lengths[int(0.9 * (len(lengths) - 1))] <= 30
    assert lengths[-1] <= 120


def tree_of_readme() -> dict[str, str]:
    """Return the path and the line of every entry in the tree of the README."""
    text = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"```text\n(nii/\n.*?)```", text, re.DOTALL)
    assert block, "README.md has no tree that starts with nii/"
    entries: dict[str, str] = {}
    folders: list[str] = []
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, about = line.strip().partition(" ")
        folders[depth:] = [name.rstrip("/")]
        entries["/".join(folders)] = about.strip()
    return entries


def test_readme_shows_the_real_tree() -> None:
    """The tree in the README lists every module, nothing else, and says what each is for."""
    entries = tree_of_readme()
    real = {name_of(path) for path in MODULES if path.name != "__init__.py"}
    assert {name for name in entries if name.endswith(".py")} == real
    assert not [name for name in entries if not (ROOT / name).exists()]
    assert not [name for name, about in entries.items() if name != "nii" and not about]


@pytest.mark.slow
def test_only_the_command_line_prints() -> None:
    """The library logs; print stands in terminal.py only."""
    guilty = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        if path.name != "terminal.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not guilty


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.toml")), ids=name_of)
def test_every_config_loads(path: Path) -> None:
    """Every experiment in configs/ is a training run that passes all checks of its settings."""
    from nii.train.config import read_config

    assert read_config(path, environment={}).name


def loaded_by(modules: list[str], banned: str, folder: Path = ROOT) -> bool:
    """Tell whether a fresh Python that imports the modules has `banned` loaded afterwards."""
    program = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[2:]]; "
    program += "print(sys.argv[1] in sys.modules)"
    command = [sys.executable, "-c", program, banned, *modules]
    path = os.pathsep.join([str(folder), str(ROOT)])
    answer = subprocess.run(  # noqa: S603
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip() == "True"


def modules_outside(*floors: str) -> list[str]:
    """Return the names of all modules that do not lie on one of the floors."""
    names = (name_of(path).removesuffix(".py").replace("/", ".") for path in MODULES)
    short = (name.removesuffix(".__init__") for name in names)
    return [name for name in short if not name.startswith(floors)]


@pytest.mark.slow
def test_nothing_but_training_loads_torch() -> None:
    """Every module outside nii.train, the command line included, imports without torch."""
    assert not loaded_by(modules_outside("nii.train", *absent_extras()), "torch")


@pytest.mark.slow
def test_simulation_and_store_load_no_runtime() -> None:
    """Only nii.infer.runtime and what is built on it loads ONNX Runtime."""
    roof = ("nii.cli", "nii.score", "nii.serve", "nii.signing", "nii.worker")
    floors = ("nii.infer", "nii.evaluate", "nii.train", "nii.review", *roof)
    assert not loaded_by(modules_outside(*floors), "onnxruntime")


@pytest.mark.slow
def test_web_app_loads_no_runtime() -> None:
    """The officer's web app starts without ONNX Runtime."""
    if not has_web_app():
        pytest.skip("the extra [review] is not installed, or there is no web app yet")
    review = [name for name in modules_outside() if name.startswith("nii.review")]
    assert not loaded_by(review, "onnxruntime")


def absent_extras() -> tuple[str, ...]:
    """Return the modules that cannot be imported here, because their extra is not installed."""
    from importlib.util import find_spec

    tables = bool(find_spec("pyarrow") and find_spec("fsspec"))
    return (
        *(() if tables else ("nii.score", "nii.infer.parquet")),
        *(() if find_spec("starlette") else ("nii.review", "nii.serve")),
    )


def has_web_app() -> bool:
    """Tell whether the web app and its extra are there."""
    from importlib.util import find_spec

    return (PACKAGE / "review").is_dir() and find_spec("starlette") is not None


@pytest.mark.parametrize("banned", ["onnxruntime", "sqlite3"])
def test_the_guard_can_fail(tmp_path: Path, banned: str) -> None:
    """A module that does load what is banned, be it through another one, is found out."""
    (tmp_path / "accomplice.py").write_text(f"import {banned}\n")
    (tmp_path / "guilty.py").write_text("import accomplice\n")
    (tmp_path / "innocent.py").write_text("def later():\n    import accomplice\n")
    assert loaded_by(["guilty"], banned, tmp_path)
    assert not loaded_by(["innocent"], banned, tmp_path)


def test_changelog_tells_the_version() -> None:
    """The newest entry of the changelog is the version of the package."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## \[(\d[^\]]*)\]", text, re.MULTILINE)
    assert versions[0] == nii.__version__


@pytest.mark.slow
def test_no_registry_is_named() -> None:
    """No file names the host of a package registry: where packages come from is the user's."""
    hosts = ["py" + "pi.org", "python" + "hosted", "npm" + "js.", "debian" + ".org"]
    words = [*hosts, "download.py" + "torch", "index" + "-url", "find" + "-links"]
    pattern = re.compile("|".join(map(re.escape, words)).encode())
    guilty = [name_of(path) for path in files_of_the_project() if pattern.search(path.read_bytes())]
    assert not guilty


def test_files_stay_small() -> None:
    """No file of the repository is larger than 6 MiB, no file of a model than 16."""
    for path in files_of_the_project():
        model = name_of(path).startswith("models/")
        limit = LARGEST_MODEL_BYTES if model else LARGEST_FILE_BYTES
        assert path.stat().st_size <= limit, name_of(path)


def test_constraints_are_plain_pins() -> None:
    """Every line of constraints.txt is name==version, with a marker at most."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert not [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+(; [\w\s.'\"=<>]+)?", pin)]
