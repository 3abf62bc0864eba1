"""Claims about OpenID Connect, with a provider that is a real server process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

pytest.importorskip("authlib")

from nii.errors import NiiError
from nii.review.oidc import Door, Provider

BACK = "http://127.0.0.1:8000/oidc/back"
PROVIDER = '''
"""A provider that vouches for whoever asks; its second argument spoils what it says."""
import sys, time
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route
from joserfc import jwt
from joserfc.jwk import RSAKey

key = RSAKey.generate_key(2048, {"kid": "k", "use": "sig", "alg": "RS256"})
other = RSAKey.generate_key(2048, {"kid": "k", "use": "sig", "alg": "RS256"})
port = int(sys.argv[1])
issuer = f"http://127.0.0.1:{port}"
waiting = {}

def configuration(request):
    return JSONResponse({"issuer": issuer, "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token", "jwks_uri": f"{issuer}/keys"})

def authorize(request):
    code = f"code{len(waiting)}"
    waiting[code] = dict(request.query_params)
    asked = request.query_params
    answer = f"code={code}&state={asked['state']}&iss={issuer}"
    return RedirectResponse(f"{asked['redirect_uri']}?{answer}", 303)

async def token(request):
    form = await request.form()
    asked = waiting.pop(form["code"])
    import base64, hashlib
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if challenge != asked["code_challenge"] or asked["code_challenge_method"] != "S256":
        return JSONResponse({"error": "invalid_grant"}, 400)
    claims = {"iss": issuer, "aud": "nii", "sub": "7", "nonce": asked["nonce"],
        "exp": int(time.time()) + 60, "preferred_username": "B.Officer"}
    spoil = sys.argv[2] if len(sys.argv) > 2 else ""
    claims |= {"aud": {"aud": "another"}, "iss": {"iss": "http://evil"}, "nonce": {"nonce": "x"},
        "exp": {"exp": int(time.time()) - 600}}.get(spoil, {})
    if spoil == "none":
        import json
        def part(data):
            return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()
        signed = part({"alg": "none"}) + "." + part(claims) + "."
    else:
        signed = jwt.encode({"alg": "RS256", "kid": "k"}, claims, other if spoil == "key" else key)
    return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": signed})

def keys(request):
    return JSONResponse({"keys": [key.as_dict(private=False)]})

app = Starlette(routes=[Route("/.well-known/openid-configuration", configuration),
    Route("/authorize", authorize), Route("/token", token, methods=["POST"]), Route("/keys", keys)])
uvicorn.run(app, port=port, log_level="error")
'''


class Fake:
    """Starts providers and stops them."""

    def __init__(self, folder: Path) -> None:
        """Start with none."""
        self.path = folder / "provider.py"
        self.path.write_text(PROVIDER)
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, port: int, spoil: str = "") -> Provider:
        """Start a provider and wait until it answers."""
        command = [sys.executable, "-W", "ignore", str(self.path), str(port), spoil]
        self.running.append(subprocess.Popen(command))  # noqa: S603
        issuer = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                httpx.get(f"{issuer}/keys")
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return Provider(issuer, "nii", "secret", "The Customs")
        pytest.fail("the provider did not start")


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    """Give a maker of providers."""
    made = Fake(tmp_path)
    yield made
    for process in made.running:
        process.terminate()
        process.wait(timeout=10)


def go(door: Door, browser: str = "b") -> dict[str, str]:
    """Begin a log-in and return what the provider sends back."""
    answer = httpx.get(door.start(BACK, browser))
    back = urlsplit(answer.headers["Location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == BACK
    return {name: values[0] for name, values in parse_qs(back.query).items()}


def finish(door: Door, given: dict[str, str], browser: str = "b") -> object:
    """Finish a log-in."""
    return door.finish(given["state"], given["code"], given["iss"], browser)


@pytest.mark.slow
def test_who_is_vouched_for_is_known(fake: Fake, free_tcp_port: int) -> None:
    """A whole log-in gives issuer, subject and name; it works once, in one browser only."""
    provider = fake.start(free_tcp_port)
    door = Door(provider)
    given = go(door)
    proven = door.finish(given["state"], given["code"], given["iss"], "b")
    assert (proven.subject, proven.login) == (f"{provider.issuer} 7", "b.officer")
    with pytest.raises(NiiError, match="not begun here"):
        finish(door, given)
    with pytest.raises(NiiError, match="another browser"):
        finish(door, go(door), "another")
    with pytest.raises(NiiError, match="not begun here"):
        door.finish("forged", "code", None, "b")
    given = go(door)
    with pytest.raises(NiiError, match="another issuer"):
        door.finish(given["state"], given["code"], "http://evil", "b")
    given = go(door)
    with pytest.raises(NiiError, match="does not hold"):
        door.finish(given["state"], "forged code", None, "b")


@pytest.mark.slow
@pytest.mark.parametrize("spoil", ["aud", "iss", "nonce", "exp", "key", "none"])
def test_an_identity_that_does_not_hold(fake: Fake, free_tcp_port: int, spoil: str) -> None:
    """A wrong audience, issuer, nonce, time or signature, or none at all, opens nothing."""
    door = Door(fake.start(free_tcp_port, spoil))
    with pytest.raises(NiiError, match="does not hold"):
        finish(door, go(door))


def test_a_provider_without_tls(free_tcp_port: int) -> None:
    """A provider elsewhere is asked over TLS only; one that is down is told, not crashed upon."""
    with pytest.raises(NiiError, match="without TLS"):
        Provider("http://id.example", "nii", "secret", "The Customs")
    door = Door(Provider(f"http://127.0.0.1:{free_tcp_port}", "nii", "secret", "The Customs"))
    with pytest.raises(NiiError, match="no answer"):
        door.start(BACK, "b")
