"""Claims about the guard: over all routes, only our own pages on this machine get through."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Mount, Route
from starlette.testclient import TestClient

from nii.review import guard
from nii.review.app import create_app
from nii.store import decisions
from nii.store.database import Store
from nii.store.inspections import Filed

HOSTS = frozenset(guard.LOOPBACK_HOSTS)
FORM = {"verdict": "inspect", "officer": "A. Officer", "reason": ""}
FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:9000"},
    {"Origin": "https://127.0.0.1:8000"},
    {"Origin": "http://127.0.0.1:8000.evil.example"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
]


def routes_of(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield method and path of every route."""
    for route in routes:
        if isinstance(route, Mount):
            yield from routes_of(list(route.routes), prefix + route.path)
        elif isinstance(route, Route):
            for method in sorted(route.methods or ()):
                yield method, prefix + route.path


def address(path: str, filed: Filed) -> str:
    """Fill in what stands in braces."""
    parts = {"{id}": filed.id, "{sha256}": filed.scan_sha256, "{size}": "thumbnail"}
    for name, value in parts.items():
        path = path.replace(name, str(value))
    return path


@pytest.fixture
def every_route(client: TestClient, file_scan: Callable[..., Filed]) -> list[tuple[str, str]]:
    """Give method and address of every route, for an inspection that is there."""
    filed = file_scan()
    assert isinstance(client.app, Starlette)
    found = [(method, address(path, filed)) for method, path in routes_of(client.app.routes)]
    assert len(found) > 8
    return found


def test_every_answer_carries_the_headers(
    client: TestClient, every_route: list[tuple[str, str]]
) -> None:
    """Pages, pictures, JSON, static files and errors all come with the protecting headers."""
    more = [("GET", "/static/style.css"), ("GET", "/nowhere"), ("DELETE", "/")]
    for method, path in every_route + more:
        answer = client.request(method, path)
        assert answer.status_code < 500
        for name, value in guard.HEADERS.items():
            assert answer.headers[name] == value
        assert "Cache-Control" in answer.headers


def test_the_policy_lets_no_foreign_or_inline_script_run() -> None:
    """The content security policy starts from nothing and opens only our own files."""
    policy = guard.HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert not {"unsafe-inline", "unsafe-eval", "*", "data:", "http:"} & set(policy.split())


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8000"])
def test_foreign_hosts_are_refused(
    client: TestClient, every_route: list[tuple[str, str]], host: str
) -> None:
    """A name that was bent to this machine (DNS rebinding) reaches no route."""
    for method, path in every_route:
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert client.request(method, path, headers=headers).status_code == 421


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_foreign_pages_change_nothing(
    client: TestClient,
    store: Store,
    every_route: list[tuple[str, str]],
    headers: dict[str, str],
) -> None:
    """No request that another site can send changes anything."""
    changing = [path for method, path in every_route if method not in ("GET", "HEAD")]
    assert len(changing) == 2
    for path in changing:
        assert client.post(path, data=FORM, headers=headers).status_code == 403
        assert client.post(path, json=FORM, headers=headers).status_code == 403
    assert decisions.of_inspection(store, 1) == ()


def test_without_origin_nothing_changes(store: Store, file_scan: Callable[..., Filed]) -> None:
    """A request that does not say where it comes from is refused."""
    filed = file_scan()
    with TestClient(create_app(store), base_url="http://localhost") as bare:
        assert bare.post(f"/inspections/{filed.id}/decisions", data=FORM).status_code == 403
        own = {"Origin": "http://localhost"}
        answer = bare.post(f"/api/inspections/{filed.id}/decisions", json=FORM, headers=own)
        assert answer.status_code == 201


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"host": "localhost"}, None),
        ("GET", {"host": "localhost:8000"}, None),
        ("GET", {"host": "[::1]:8000"}, None),
        ("GET", {"host": "LOCALHOST"}, None),
        ("GET", {}, 421),
        ("GET", {"host": ""}, 421),
        ("GET", {"host": "a@localhost"}, 421),
        ("GET", {"host": "localhost/"}, 421),
        ("GET", {"host": "localhost:port"}, 421),
        ("GET", {"host": "[localhost"}, 421),
        ("POST", {"host": "localhost", "origin": "http://localhost", "content-length": "9"}, None),
        ("POST", {"host": "localhost", "origin": "http://localhost"}, 411),
        ("POST", {"host": "localhost", "origin": "http://localhost", "content-length": "-1"}, 411),
        ("POST", {"host": "localhost", "origin": "http://localhost", "content-length": "²"}, 411),
        (
            "POST",
            {"host": "localhost", "origin": "http://localhost", "content-length": "9" * 99},
            413,
        ),
        ("PUT", {"host": "localhost"}, 403),
        ("OPTIONS", {"host": "localhost", "origin": "http://evil.example"}, 403),
    ],
)
def test_refusals(method: str, headers: dict[str, str], status: int | None) -> None:
    """The guard lets through, or says no with this status."""
    answer = guard.refuse(method, "http", Headers(headers), HOSTS)
    assert (answer.status_code if answer else None) == status


def test_two_hosts_or_origins_are_refused() -> None:
    """A header that stands twice could be read in two ways."""
    twice = Headers(raw=[(b"host", b"localhost"), (b"host", b"localhost")])
    answer = guard.refuse("GET", "http", twice, HOSTS)
    assert answer is not None
    assert answer.status_code == 421
