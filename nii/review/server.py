"""The server that runs the web app, and what it asks for before others can reach it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn

from nii.errors import ConfigError
from nii.review import auth
from nii.review.app import create_app, now
from nii.review.desk import ReviewSettings
from nii.review.guard import LOOPBACK_HOSTS
from nii.store.database import Store, open_folder

_KEEP_S = 75
"""How long an idle connection is kept: longer than an officer looks at a scan."""
_GOODBYE_S = 3
"""How long open connections are waited for when the server stops: live updates never end."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens and how others reach it."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on."""
    names: tuple[str, ...] = ()
    """Host names under which browsers reach it, without port; those of this machine always work."""
    certificate: Path | None = None
    """TLS certificate chain, PEM."""
    key: Path | None = None
    """Private key of the certificate, PEM."""
    proxy: tuple[str, ...] = ()
    """Addresses of proxies that end TLS before it and are believed about who asks."""


def serve(
    folder: Path,
    settings: ServerSettings,
    review: ReviewSettings,
    say: Callable[[str], None],
    database_url: str | None = None,
) -> None:
    """Serve the store in a folder until interrupted.

    Args:
        folder: of the store.
        settings: of the server.
        review: of the web app.
        say: shows a line to whoever starts the server.
        database_url: database instead of the SQLite file in the folder.

    Raises:
        ConfigError: others could reach it, and something that protects it is missing; or the
            address is taken.
        NiiError: the database cannot be used.
    """
    check(settings)
    check_address(settings)
    store = open_folder(folder, database_url)
    try:
        first = auth.first_start(store, now())
        if first is not None:
            say(f"first start: log in as {first[0]} with the one-time password {first[1]}")
        check_accounts(settings, store)
        hosts = (*LOOPBACK_HOSTS, *settings.names)
        say(f"open {address(settings)}")
        run(store, settings, replace(review, hosts=hosts))
    finally:
        store.close()


def is_private(settings: ServerSettings) -> bool:
    """Tell whether only this machine can reach the server."""
    return settings.host in LOOPBACK_HOSTS and not settings.proxy and not settings.names


def check(settings: ServerSettings) -> None:
    """Check that what others can reach is encrypted and knows its names.

    Raises:
        ConfigError: it does not.
    """
    if (settings.certificate is None) != (settings.key is None):
        raise _refusal("a certificate or a key alone", "both", "Give --certificate and --key.")
    if is_private(settings):
        return
    if settings.certificate is None and not settings.proxy:
        raise _refusal(
            f"{settings.host}, which other machines can reach, without TLS",
            "a certificate and key, or a proxy that ends TLS",
            "Give --certificate and --key, or --proxy with the proxy's address.",
        )
    if not settings.names:
        raise _refusal(
            "no host name", "the name that browsers use", "Give it with --name; see docs/review.md."
        )


def check_address(settings: ServerSettings) -> None:
    """Check that the address is free, before a one-time password is made and shown.

    Raises:
        ConfigError: another program listens there, or this machine has no such address.
    """
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(place)
    except OSError as error:
        raise _refusal(
            f"{settings.host}, port {settings.port}: {error.strerror or error}",
            "an address of this machine that no other program uses",
            "Give another port with --port, or stop the program that uses it.",
        ) from error


def check_accounts(settings: ServerSettings, store: Store) -> None:
    """Check that accounts are set up before others can reach the server.

    Raises:
        ConfigError: no administrator has chosen a password yet.
    """
    if not is_private(settings) and not auth.is_set_up(store):
        raise _refusal(
            "no administrator who has changed the one-time password",
            "accounts that are set up",
            "Start it on this machine alone first, log in there and choose a password.",
        )


def address(settings: ServerSettings) -> str:
    """Return the address to open."""
    if settings.proxy:
        return f"https://{settings.names[0]}/"
    scheme = "https" if settings.certificate else "http"
    name = settings.names[0] if settings.names else settings.host
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{settings.port}/"


def run(store: Store, settings: ServerSettings, review: ReviewSettings) -> None:
    """Run the server over an open store until interrupted."""
    uvicorn.run(
        create_app(store, review),
        host=settings.host,
        port=settings.port,
        server_header=False,
        log_level="warning",
        proxy_headers=bool(settings.proxy),
        forwarded_allow_ips=",".join(settings.proxy) or None,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        timeout_graceful_shutdown=_GOODBYE_S,
        timeout_keep_alive=_KEEP_S,
    )


def _refusal(found: str, expected: str, remedy: str) -> ConfigError:
    return ConfigError("nii review", found=found, expected=expected, remedy=remedy)
