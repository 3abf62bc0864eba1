"""Claims about the guard: over all routes, only our own pages on this machine get through."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Mount, Route
from starlette.testclient import TestClient

from nii.review import guard
from nii.store import tables
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.users import Role

HOSTS = frozenset(guard.LOOPBACK_HOSTS)
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
FOR_EVERYBODY = {"/login", "/language", "/healthz", "/api/v1/openapi.json"}
STREAMS = {"/events", "/api/v1/events/stream"}
"""Never end by themselves."""
OFTEN = {"/oidc/start", "/oidc/back"}
"""Not there where no provider is set up."""


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
    parts = {
        "{id}": filed.id,
        "{sha256}": filed.scan_sha256,
        "{size}": "thumbnail",
        "{form}": "1",
        "{level}": 0,
        "{column}": 0,
        "{row}": 0,
    }
    for name, value in parts.items():
        path = path.replace(name, str(value))
    return path


@pytest.fixture
def every_route(app: Starlette, file_scan: Callable[..., Filed]) -> list[tuple[str, str]]:
    """Give method and address of every route, for an inspection that is there."""
    filed = file_scan()
    found = [(method, address(path, filed)) for method, path in routes_of(app.routes)]
    assert len(found) > 60
    return [(method, path) for method, path in found if path not in STREAMS]


def events(store: Store) -> int:
    """Return how many events there are."""
    with store.read() as connection:
        query = sa.select(sa.func.count()).select_from(tables.events)
        return int(connection.execute(query).scalar_one())


@pytest.mark.slow
def test_every_answer_carries_the_headers(
    client: TestClient, stranger: TestClient, every_route: list[tuple[str, str]]
) -> None:
    """Pages, pictures, JSON, static files and errors all come with the protecting headers."""
    more = [("GET", "/static/style.css"), ("GET", "/nowhere"), ("DELETE", "/")]
    for browser in (client, stranger):
        for method, path in every_route + more:
            if path == "/logout":
                continue
            answer = browser.request(method, path)
            assert answer.status_code < 500, path
            for name, value in guard.HEADERS.items():
                assert answer.headers[name] == value
            assert "Cache-Control" in answer.headers


def test_the_policy_lets_no_foreign_or_inline_script_run() -> None:
    """The content security policy starts from nothing and opens only our own files."""
    policy = guard.HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert not {"unsafe-inline", "unsafe-eval", "*", "data:", "http:"} & set(policy.split())


@pytest.mark.slow
def test_strangers_reach_nothing(
    stranger: TestClient, store: Store, every_route: list[tuple[str, str]]
) -> None:
    """Without log-in every route but a few leads to the log-in page, or to 401 for programs."""
    before = events(store)
    for method, path in every_route:
        answer = stranger.request(method, path)
        if path in FOR_EVERYBODY | OFTEN:
            continue
        if path.startswith("/api/"):
            assert answer.status_code == 401, path
        else:
            assert answer.status_code == 303, path
            assert answer.headers["Location"].startswith("/login"), path
    with store.read() as connection:
        late = tables.events.c.number > before
        kinds = connection.execute(sa.select(tables.events.c.kind).where(late)).scalars().all()
    assert kinds == ["login failed"], "POST /login without a name is on record, and nothing else"


@pytest.mark.parametrize(
    "cookie", ["nii-session=x", "nii-session=", "__Host-nii=x", "nii-session=\udc80", "a=b; c"]
)
def test_forged_cookies_open_nothing(stranger: TestClient, cookie: str) -> None:
    """A cookie that we did not give is worth nothing."""
    headers = {"Cookie": cookie.encode("utf-8", "surrogateescape")}
    assert stranger.get("/", headers=headers).status_code == 303
    assert stranger.get("/api/v1/queue", headers=headers).status_code == 401


@pytest.mark.slow
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8000"])
def test_foreign_hosts_are_refused(
    client: TestClient, every_route: list[tuple[str, str]], host: str
) -> None:
    """A name that was bent to this machine (DNS rebinding) reaches no route."""
    for method, path in every_route:
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert client.request(method, path, headers=headers).status_code == 421


@pytest.mark.slow
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_foreign_pages_change_nothing(
    browse: Callable[..., TestClient],
    store: Store,
    every_route: list[tuple[str, str]],
    headers: dict[str, str],
) -> None:
    """No request that another site can send changes anything, whoever is logged in."""
    changing = [(m, path) for m, path in every_route if m not in ("GET", "HEAD")]
    assert len(changing) > 20
    for login, role in (("officer", Role.OFFICER), ("boss", Role.ADMINISTRATOR)):
        client = browse(login, role)
        before = events(store)
        for method, path in changing:
            answer = client.request(method, path, json={"verdict": "inspect"}, headers=headers)
            assert answer.status_code == 403
        assert events(store) == before


ROLES = {
    "/accounts": Role.ADMINISTRATOR,
    "/accounts/1": Role.ADMINISTRATOR,
    "/tokens": Role.ADMINISTRATOR,
    "/tokens/1": Role.ADMINISTRATOR,
    "/settings": Role.ADMINISTRATOR,
    "/log": Role.AUDITOR,
}


@pytest.mark.slow
@pytest.mark.parametrize("role", list(Role))
def test_roles_reach_their_pages_only(
    browse: Callable[..., TestClient], every_route: list[tuple[str, str]], role: Role
) -> None:
    """Administration is for administrators, the log for auditors, deciding for officers."""
    client = browse("somebody", role)
    decides = role in (Role.OFFICER, Role.SUPERVISOR)
    for method, path in every_route:
        if path in ROLES:
            status = client.request(method, path, data={"act": "none"}).status_code
            assert (status == 403) is (role is not ROLES[path]), (method, path)
        ends = ("/decisions", "/marks", "/outcomes", "/claim", "/next", "/release")
        if method not in ("GET", "HEAD") and path.endswith(ends):
            status = client.request(method, path).status_code
            assert (status == 403) is (not decides), (method, path)


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
        ("POST", {"host": "localhost", "authorization": "Bearer x", "content-length": "9"}, None),
        ("POST", {"host": "localhost", "authorization": "Basic x", "content-length": "9"}, 403),
        ("POST", {"host": "localhost", "authorization": "Bearer ", "content-length": "9"}, 403),
        ("PUT", {"host": "localhost"}, 403),
        ("OPTIONS", {"host": "localhost", "origin": "http://evil.example"}, 403),
    ],
)
def test_refusals(method: str, headers: dict[str, str], status: int | None) -> None:
    """The guard lets through, or says no with this status."""
    answer = guard.refuse(scope(method, headers), HOSTS)
    assert (answer.status_code if answer else None) == status


def test_only_scans_may_be_large() -> None:
    """One path takes large bodies, all others those of a form."""
    large = {
        "host": "localhost",
        "authorization": "Bearer x",
        "content-length": str(guard.BODY_LIMIT_BYTES + 1),
    }
    assert guard.refuse(scope("POST", large, guard.SCANS_PATH), HOSTS) is None
    assert guard.refuse(scope("POST", large, "/api/v1/inspections/1/marks"), HOSTS) is not None


def test_two_hosts_or_origins_are_refused() -> None:
    """A header that stands twice could be read in two ways."""
    twice = [(b"host", b"localhost"), (b"host", b"localhost")]
    answer = guard.refuse(scope("GET", {}) | {"headers": twice}, HOSTS)
    assert answer is not None
    assert answer.status_code == 421


def scope(method: str, headers: dict[str, str], path: str = "/") -> dict[str, object]:
    """Return the scope of a request."""
    raw = Headers(headers).raw
    return {"type": "http", "scheme": "http", "method": method, "path": path, "headers": raw}
