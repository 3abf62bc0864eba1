"""Measure the web app: many officers at once on many inspections, over HTTP to a real server.

A store is filled in bulk. Each officer logs in, keeps the live update open, and goes on looking at
the queue, taking the next scan, opening it and deciding, with a pause between two requests, and
asks the API as well. What is told is how long answers took, by kind, and what memory the server
had. Pixels of scans are left out: scripts/bench_viewer.py measures those.

Example: python scripts/bench_review.py --inspections 200000 --officers 50 --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import bench_queue
import httpx
import psutil

from nii.review import passwords
from nii.store import users
from nii.store.audit import Actor, canonical
from nii.store.database import Store, open_folder
from nii.store.users import Credentials, Profile, Role

EXAMPLE = Path(__file__).parents[1] / "tests" / "store" / "inspection.json"
PASSWORD = "correct horse battery"  # noqa: S105 - of a store that is thrown away
PROGRAM = "import sys; from nii.cli import main; sys.exit(main(sys.argv[1:]))"
WISHED_MS = 300.0


@dataclass
class Times:
    """Milliseconds by kind of request, and what went wrong."""

    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def main() -> None:
    """Fill a store, start a server, let officers work, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inspections", type=int, default=200_000)
    parser.add_argument("--officers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=4.0, help="mean seconds between requests")
    parser.add_argument("--store", type=Path, help="folder of a store that is kept and used again")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        name = options.store or stack.enter_context(tempfile.TemporaryDirectory())
        filled(Path(name), options)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-c", PROGRAM, "review", str(name), "--port", str(port)]
        server = subprocess.Popen(command)  # noqa: S603
        try:
            times = asyncio.run(work(f"http://127.0.0.1:{port}", options))
            memory = psutil.Process(server.pid).memory_info().rss >> 20
        finally:
            server.terminate()
            server.wait(timeout=20)
        report(times, options.seconds, memory)


def filled(folder: Path, options: argparse.Namespace) -> None:
    """Fill a store in bulk, unless it was filled by an earlier call."""
    store = open_folder(folder)
    begun = time.perf_counter()
    if users.by_login(store, "bench0") is None:
        bench_queue.TEXT = whole_inspection()  # here somebody reads it
        bench_queue.fill(store, options.inspections)
        bench_queue.analyse(store)
        make_officers(store, options.officers)
        print(f"filled with {options.inspections} in {time.perf_counter() - begun:.0f} s")
    store.close()


def whole_inspection() -> str:
    """Return an inspection that can be read, with the marks that the filling replaces."""
    found = json.loads(EXAMPLE.read_text("utf-8"))
    found["scan"] |= {"sha256": "@sha@", "container_numbers": ["@box@"]}
    return canonical(found)


def make_officers(store: Store, count: int) -> None:
    """Add accounts that share a password."""
    shared = Credentials(passwords.hashed(PASSWORD))
    for number in range(count):
        profile = Profile(f"Officer {number}", Role.OFFICER)
        now = datetime.now(UTC)
        users.create(store, f"bench{number}", profile, shared, Actor("bench"), now)


async def work(address: str, options: argparse.Namespace) -> Times:
    """Let all officers work for a while."""
    times = Times()
    for _ in range(600):
        try:
            async with httpx.AsyncClient() as client:
                await client.get(f"{address}/healthz")
            break
        except httpx.TransportError:
            await asyncio.sleep(0.1)
    async with asyncio.TaskGroup() as group:
        for number in range(options.officers):
            group.create_task(officer(address, number, options, times))
    return times


async def officer(address: str, number: int, options: argparse.Namespace, times: Times) -> None:
    """Work as one officer: queue, next scan, decision, over and over."""
    rng = random.Random(number)  # noqa: S311 - pauses, no secrets
    headers = {"Origin": address, "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=300) as client:
        await asyncio.sleep(0.4 * number)  # a shift comes in one after another
        form = {"login": f"bench{number}", "password": PASSWORD}
        await ask(client, times, "log in", "POST", "/login", data=form)
        listening = asyncio.create_task(listen(client))
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            for step in (queue, api):
                await step(client, times, rng)
                await asyncio.sleep(rng.expovariate(1 / options.pause))
            await decide(client, times, rng, options.pause)
        listening.cancel()


async def queue(client: httpx.AsyncClient, times: Times, rng: random.Random) -> None:
    """Look at the queue, sometimes filtered."""
    path = rng.choice(["/", "/", "/?level=search", "/?class=firearm", "/?number=CSQU"])
    await ask(client, times, f"page {path}", "GET", path)


async def api(client: httpx.AsyncClient, times: Times, rng: random.Random) -> None:
    """Ask the API."""
    after = rng.randrange(100_000)
    path = rng.choice(["/queue", f"/inspections?after={after}", f"/decisions?after={after // 8}"])
    await ask(client, times, f"API {path.partition('?')[0]}", "GET", f"/api/v1{path}")


async def decide(client: httpx.AsyncClient, times: Times, rng: random.Random, pause: float) -> None:
    """Take the next scan, look at it, decide."""
    answer = await ask(client, times, "next scan", "POST", "/next")
    place = answer.headers.get("location", "")
    if not re.fullmatch(r"/inspections/\d+", place):
        return
    await ask(client, times, "page of one inspection", "GET", place)
    await ask(client, times, "regions of one inspection", "GET", f"{place}/viewer.json")
    await asyncio.sleep(rng.expovariate(1 / pause))
    form = {"verdict": "inspect", "reason_code": "threat_seen", "then": "stay", "seen": "0"}
    await ask(client, times, "decision", "POST", f"{place}/decisions", data=form)


async def listen(client: httpx.AsyncClient) -> None:
    """Keep the live update open, as a page does."""
    with contextlib.suppress(httpx.TransportError):  # the server ends it when it stops
        async with client.stream("GET", "/events", timeout=None) as stream:
            async for _ in stream.aiter_lines():
                pass


async def ask(
    client: httpx.AsyncClient,
    times: Times,
    kind: str,
    method: str,
    path: str,
    data: dict[str, str] | None = None,
) -> httpx.Response:
    """Ask once and note how long it took."""
    begun = time.perf_counter()
    answer = await client.request(method, path, data=data)
    times.taken[kind].append(1000 * (time.perf_counter() - begun))
    if answer.status_code >= 400:  # noqa: PLR2004 - where HTTP errors begin
        times.wrong[f"{kind}: {answer.status_code}"] += 1
    return answer


def report(times: Times, seconds: float, memory: int) -> None:
    """Print what was measured."""
    print("| request | number | p50 ms | p95 ms | longest ms |")
    print("|---|---:|---:|---:|---:|")
    for kind, taken in sorted(times.taken.items()):
        p95 = statistics.quantiles(taken, n=20)[-1] if len(taken) > 1 else taken[0]
        print(
            f"| {kind} | {len(taken)} | {statistics.median(taken):.0f} | {p95:.0f} "
            f"| {max(taken):.0f} |"
        )
    every = [one for kind, taken in times.taken.items() if kind != "log in" for one in taken]
    p95 = statistics.quantiles(every, n=20)[-1]
    verdict = "within" if p95 < WISHED_MS else "over"
    print(
        f"{len(every) / seconds:.0f} requests a second; p95 of all but log-in {p95:.0f} ms, ",
        end="",
    )
    print(
        f"{verdict} the {WISHED_MS:.0f} ms wished; server {memory} MiB; wrong {dict(times.wrong)}"
    )


if __name__ == "__main__":
    main()
