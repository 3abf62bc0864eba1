"""Log-in with the organisation's own accounts: OpenID Connect, authorization code with PKCE.

The provider says who somebody is; what they may do stands in our own accounts. An account is found
by issuer and subject. An account without a password is tied to the first log-in whose
`preferred_username` is its name; one with a password never is.

Reference:
    OpenID Connect Core 1.0 (2014), sections 3.1 and 3.1.3.7. RFC 7636 (2015): PKCE.
    RFC 9207 (2022) for the issuer in the answer.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import httpx

from nii.errors import MissingExtraError, NiiError

with warnings.catch_warnings():
    # Newer versions of Authlib prefer the package httpx2, and say so when they meet httpx.
    warnings.simplefilter("ignore")
    try:
        from authlib.integrations.httpx_client import OAuth2Client
        from authlib.oauth2.rfc7636 import create_s256_code_challenge
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("oidc", "log-in with OpenID Connect") from error

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
"""Signatures that are taken; none and shared secrets are not."""
_PATIENCE_S = 600.0
"""How long a log-in that was begun may take."""
_MOST_BEGUN = 1000
_TIMEOUT_S = 10.0
_LEEWAY_S = 60
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Provider:
    """Where people prove who they are.

    Attributes:
        issuer: address of the provider; its configuration lies below it.
        client_id: name of this web app at the provider.
        client_secret: its secret there.
        name: of the provider, as the button shows it.
    """

    issuer: str
    client_id: str
    client_secret: str
    name: str

    def __post_init__(self) -> None:
        """Check that the provider is asked over TLS, or lies on this machine.

        Raises:
            NiiError: it does not.
        """
        parts = httpx.URL(self.issuer)
        if parts.scheme != "https" and parts.host not in ("127.0.0.1", "localhost"):
            raise _refusal("an issuer without TLS", "an https:// address", "Give the address.")


@dataclass(frozen=True, slots=True)
class Proven:
    """Who somebody is, as the provider says.

    Attributes:
        subject: issuer and subject, together unique.
        login: name of the account, in lower case; empty where the provider gives none.
    """

    subject: str
    login: str


@dataclass(frozen=True, slots=True)
class _Begun:
    browser: str
    nonce: str
    verifier: str
    back: str
    at: float


@dataclass(slots=True)
class Door:
    """Begin log-ins and finish them; what was begun lives in this process only."""

    provider: Provider
    _begun: OrderedDict[str, _Begun] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, back: str, browser: str) -> str:
        """Return the address at the provider where a log-in begins.

        Args:
            back: our own address that the provider sends the browser back to.
            browser: a secret in a cookie of the browser, so that only it can finish.

        Raises:
            NiiError: the provider does not answer.
        """
        begun = _Begun(browser, _secret(), secrets.token_urlsafe(48), back, time.monotonic())
        challenge = create_s256_code_challenge(begun.verifier)
        with self._client(back) as client:
            address, state = client.create_authorization_url(
                self._ask("authorization_endpoint"),
                nonce=begun.nonce,
                code_challenge=challenge,
                code_challenge_method="S256",
            )
        with self._lock:
            self._begun[str(state)] = begun
            while len(self._begun) > _MOST_BEGUN:
                self._begun.popitem(last=False)
        return str(address)

    def finish(self, state: str, code: str, issuer: str | None, browser: str) -> Proven:
        """Return who came back from the provider.

        Raises:
            NiiError: the log-in was not begun here, by this browser, a short while ago, or what the
                provider says does not hold.
        """
        with self._lock:
            begun = self._begun.pop(state, None)
        if begun is None or time.monotonic() - begun.at > _PATIENCE_S:
            raise _refusal("a log-in that was not begun here", "one begun here", "Try again.")
        if not secrets.compare_digest(begun.browser.encode(), browser.encode()):
            raise _refusal("another browser", "the one that began", "Try again.")
        if issuer is not None and issuer != self.provider.issuer:
            raise _refusal("another issuer", self.provider.issuer, "Ask the administrator.")
        try:
            with self._client(begun.back) as client:
                found = client.fetch_token(
                    self._ask("token_endpoint"), code=code, code_verifier=begun.verifier
                )
            return self._proven(str(found.get("id_token", "")), begun.nonce)
        except NiiError:
            raise
        except Exception as error:
            _LOG.warning("log-in at %s failed: %s", self.provider.issuer, error)
            raise _refusal("an answer that does not hold", "a proven identity", "Try again.") from (
                error
            )

    def _client(self, back: str) -> Any:  # noqa: ANN401 - Authlib has no types
        return OAuth2Client(
            self.provider.client_id,
            self.provider.client_secret,
            scope="openid profile",
            redirect_uri=back,
            timeout=_TIMEOUT_S,
        )

    def _ask(self, name: str) -> str:
        """Return an address out of the provider's configuration."""
        facts = _get(self.provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if facts.get("issuer") != self.provider.issuer or not isinstance(facts.get(name), str):
            raise _refusal(
                f"a configuration of {str(facts.get('issuer'))[:80]!r}",
                f"that of {self.provider.issuer} with {name}",
                "Check the address of the issuer.",
            )
        return str(facts[name])

    def _proven(self, id_token: str, nonce: str) -> Proven:
        keys = KeySet.import_key_set(_get(self._ask("jwks_uri")))  # type: ignore[arg-type]
        try:
            claims = jwt.decode(id_token, keys, algorithms=list(ALGORITHMS)).claims
            registry = jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": self.provider.issuer},
                aud={"essential": True, "value": self.provider.client_id},
                nonce={"essential": True, "value": nonce},
                sub={"essential": True},
                exp={"essential": True},
            )
            registry.validate(claims)
        except JoseError as error:
            raise _refusal(
                f"an identity that does not hold ({error})", "a valid one", "Try again."
            ) from error
        login = str(claims.get("preferred_username", "")).lower()
        return Proven(f"{self.provider.issuer} {claims['sub']}", login)


def _get(address: str) -> dict[str, Any]:
    try:
        answer = httpx.get(address, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise _refusal(
            f"no answer from {address} ({error})", "the provider's answer", "Try again later."
        ) from error
    return dict(found)


def _secret() -> str:
    return secrets.token_urlsafe(24)


def _refusal(found: str, expected: str, remedy: str) -> NiiError:
    return NiiError("log-in", found=found, expected=expected, remedy=remedy)
