"""The documentation is true: its Python runs, its commands, flags and links exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
GROUPS = ("data", "site")
"""Commands that have commands of their own."""
NEEDED_FOLDERS = ("configs", "data", "models")


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(page: Path) -> list[list[str]]:
    """Return every nii command of a page as words; a backslash joins lines."""
    text = "\n".join(blocks(page, "bash")).replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [words[1:] for words in lines if words[:1] == ["nii"]]


@cache
def help_of(*command: str) -> str:
    """Return what `nii COMMAND --help` prints; an unknown command is an error."""
    call = [sys.executable, "-m", "nii.cli", *command, "--help"]
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    answer = subprocess.run(  # noqa: S603
        call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of a page runs from top to bottom, in a folder with the samples and models."""
    for name in NEEDED_FOLDERS:
        if (ROOT / name).is_dir():
            (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    for number, block in enumerate(blocks(page, "python"), 1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)  # noqa: S102


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_flags_exist(page: Path) -> None:
    """Every nii command that a page shows exists, with every flag that the page gives it."""
    for words in commands(page):
        help_text = help_of(*words[: 2 if words[0] in GROUPS else 1])
        flags = {word.partition("=")[0] for word in words if word.startswith("--")}
        missing = {flag for flag in flags if not re.search(rf"{flag}\b", help_text)}
        assert not missing, (words, help_text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link and picture that names a file of the repository finds it."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    local = [target for target in targets if "://" not in target]
    assert not [target for target in local if not (page.parent / target).exists()]


def test_readme_shows_every_command() -> None:
    """The README has one line for each command that `nii --help` lists."""
    shown = {words[0] for words in commands(ROOT / "README.md")}
    from nii.cli import COMMANDS, name_of

    assert {name_of(command) for command in COMMANDS} <= shown


def test_pages_are_in_the_menu() -> None:
    """Every page of docs/ is listed in mkdocs.yml."""
    menu = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert not [page.name for page in (ROOT / "docs").glob("*.md") if page.name not in menu]
