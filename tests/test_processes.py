"""Processes of a pool: gone with their parent, deaf to Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PARENT = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from nii.processes import follow_parent

def number(_):
    time.sleep(0.5)
    return os.getpid()

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn, follow_parent) as pool:
        print(*set(pool.map(number, range(4))), flush=True)
        time.sleep(600)
"""


@pytest.fixture
def pool(tmp_path: Path, root: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """Return a process with a pool, and the processes of the pool."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT, "utf-8")
    variables = os.environ | {"PYTHONPATH": str(root)}
    running = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=variables
    )
    assert running.stdout is not None
    with running.stdout:
        children = [int(word) for word in running.stdout.readline().split()]
    assert children
    return running, children


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_pool_ends_with_a_killed_parent(
    pool: tuple[subprocess.Popen[str], list[int]], is_alive: Callable[[int], bool]
) -> None:
    """Ctrl-C ends none of the pool; kill -9 of the parent ends all of it."""
    running, children = pool
    for child in children:
        os.kill(child, signal.SIGINT)
    time.sleep(0.5)
    assert all(is_alive(child) for child in children)
    running.kill()
    running.wait()
    until = time.monotonic() + 60
    while any(is_alive(child) for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_alive(child) for child in children)
