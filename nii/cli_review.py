"""The command review: the officers' web app."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from nii.cli_station import database_of
from nii.terminal import say


def review(  # noqa: PLR0913 - each is a flag
    store: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    database: str | None = None,
    name: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    certificate: Path | None = None,
    key: Path | None = None,
    proxy: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    break_minutes: Annotated[int, Parameter(validator=Number(gte=0))] = 20,
    evidence_key: Path | None = None,
    oidc_issuer: str = "",
    oidc_client: str = "",
    oidc_name: str = "",
) -> int:
    """Let officers review what a store holds, in a web app.

    The first start prints a one-time password of the account admin.

    Example: nii review /srv/nii

    Args:
        store: folder of the store.
        host: address to listen on; others than those of this machine need TLS and a name.
        port: port to listen on.
        database: address of a PostgreSQL database; that in NII_DATABASE, or SQLite in the folder.
        name: host name that browsers use, where others reach it; may be given several times.
        certificate: TLS certificate chain, PEM.
        key: private key of the certificate, PEM.
        proxy: address of a proxy that ends TLS before it; may be given several times.
        break_minutes: viewing time after which a break is advised; 0 never advises one.
        evidence_key: private key that evidence packages are signed with; its passphrase stands in
            NII_KEY_PASSPHRASE.
        oidc_issuer: address of an OpenID Connect provider; needs [oidc] and NII_OIDC_SECRET.
        oidc_client: name of this web app at the provider.
        oidc_name: name of the provider, as the log-in page shows it.
    """
    from nii.review.desk import ReviewSettings
    from nii.review.server import ServerSettings, serve

    logging.getLogger("nii").setLevel(logging.WARNING)
    server = ServerSettings(host, port, name, certificate, key, proxy)
    settings = ReviewSettings(
        break_minutes=break_minutes,
        evidence_key=evidence_key,
        oidc_issuer=oidc_issuer,
        oidc_client=oidc_client,
        oidc_name=oidc_name,
    )
    serve(store, server, settings, say, database_of(database))
    return 0
