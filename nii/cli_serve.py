"""The command serve: one model over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from nii.cli_station import bundle_of, rules_of
from nii.terminal import say


def serve(  # noqa: PLR0913 - each is a flag
    *,
    bundle: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    threads: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    require_gpu: bool = False,
    trust: Path | None = None,
    allow_unsigned: bool = False,
) -> int:
    """Serve one model over HTTP: POST /inspect for a scan file, Open Inference Protocol v2 besides.

    There is no login: keep it on this machine, or behind a gateway that knows who may ask.

    Example: nii serve --port 8080

    Args:
        bundle: folder of the model; where it is not given, that in NII_BUNDLE or in models/.
        host: address to listen on.
        port: port to listen on.
        threads: threads on the CPU; all cores where not given.
        require_gpu: refuse to run on the CPU.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        allow_unsigned: run a bundle that nobody known has signed.
    """
    from nii.infer.detect import Detector
    from nii.infer.runtime import ProviderSettings
    from nii.serve.app import create_app
    from nii.serve.app import serve as run

    settings = ProviderSettings(require_gpu=require_gpu, threads=threads)
    detector = Detector.open(bundle_of(bundle), settings, rules_of(trust, allow_unsigned))
    say(f"{detector.card.name} on http://{host}:{port}/v2/models/{detector.card.name}")
    run(create_app(detector), host, port)
    return 0
