"""The server: Open Inference Protocol v2 for tensors, POST /inspect for a scan file.

One model is held open and runs one request after the other; what waits in line is bounded, and a
request beyond that is told to come again (503). It is meant for programs on this machine or behind
a gateway that knows who may ask: there is no login, so it listens on this machine unless told
otherwise.

Reference: Open Inference Protocol (KServe), version 2, HTTP/REST.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import nii
from nii import formats
from nii.errors import ConfigError, NiiError, ProviderError, ScanFormatError
from nii.infer.detect import Detector
from nii.infer.inspect import inspect
from nii.infer.runtime import Session, Tensor, run_by_name
from nii.serve import tensors

_LOG = logging.getLogger(__name__)
_OCTETS = "application/octet-stream"

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Settings of the server."""

    most_bytes: int = 512 << 20
    """Largest body of a request: a raw container scan has 13 MB, its tensor 64 MB."""
    most_waiting: int = 16
    """Requests that may wait for the model or be read; further ones are refused."""
    seconds_for_body: float = 120.0
    """Longest time that a body may take to come."""


class Desk:
    """Hold the model and the line of requests in front of it."""

    def __init__(self, detector: Detector, settings: ServeSettings) -> None:
        """Keep what is open already."""
        self.detector = detector
        self.session = detector.session
        self.settings = settings
        self.waiting = 0
        self.turn = asyncio.Lock()


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """Answer a request with a status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.status = status


def create_app(detector: Detector, settings: ServeSettings | None = None) -> Starlette:
    """Return the server over an open model."""
    model = "/v2/models/{model}"
    routes = [
        Route("/v2", server_facts),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
        Route(model, partial(_guarded, handler=model_facts)),
        Route(f"{model}/ready", partial(_guarded, handler=model_ready)),
        Route(f"{model}/infer", partial(_guarded, handler=infer), methods=["POST"]),
        Route(f"{model}/versions/{{version}}", partial(_guarded, handler=model_facts)),
        Route(f"{model}/versions/{{version}}/ready", partial(_guarded, handler=model_ready)),
        Route(
            f"{model}/versions/{{version}}/infer",
            partial(_guarded, handler=infer),
            methods=["POST"],
        ),
        Route("/inspect", partial(_guarded, handler=inspect_file), methods=["POST"]),
    ]
    handlers = {Exception: on_failure, HTTPException: on_no_route}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.desk = Desk(detector, settings or ServeSettings())
    return app


def serve(app: Starlette, host: str, port: int) -> None:
    """Serve until interrupted."""
    uvicorn.run(app, host=host, port=port, server_header=False, log_level="warning")


async def live(_request: Request) -> Response:
    """Say that the server runs."""
    return JSONResponse({"live": True})


async def ready(_request: Request) -> Response:
    """Say that all models are ready: the one model is open from the start on."""
    return JSONResponse({"ready": True})


async def server_facts(_request: Request) -> Response:
    """Tell name, version and extensions."""
    facts = {"name": "nii", "version": nii.__version__, "extensions": ["binary_tensor_data"]}
    return JSONResponse(facts)


async def model_ready(request: Request) -> Response:
    """Say that this model is open."""
    desk = _check_model(request)
    return JSONResponse({"name": desk.detector.card.name, "ready": True})


async def model_facts(request: Request) -> Response:
    """Tell names, types and shapes of inputs and outputs."""
    desk = _check_model(request)
    card = desk.detector.card
    return JSONResponse(
        {
            "name": card.name,
            "versions": [card.version],
            "platform": "onnxruntime_onnx",
            "inputs": [_facts_of(tensor) for tensor in desk.session.inputs],
            "outputs": [_facts_of(tensor) for tensor in desk.session.outputs],
            "parameters": {"bundle_sha256": desk.detector.model.sha256},
        }
    )


async def infer(request: Request) -> Response:
    """Run the model on raw tensors."""
    desk = _check_model(request)
    body = await _body(request, desk)
    length = request.headers.get(tensors.LENGTH_HEADER)
    known = [tensor.name for tensor in desk.session.outputs]

    def work() -> tuple[bytes, int | None]:
        asked = tensors.parse(body, length, known)
        _check_inputs(asked, desk.session)
        maps = run_by_name(desk.session, asked.inputs, asked.wanted)
        card = desk.detector.card
        named = {"model_name": card.name, "model_version": card.version}
        return tensors.encode(asked, dict(zip(asked.wanted, maps, strict=True)), named)

    content, json_length = await _in_turn(desk, work)
    if json_length is None:
        return Response(content, media_type="application/json")
    return Response(content, 200, {tensors.LENGTH_HEADER: str(json_length)}, media_type=_OCTETS)


async def inspect_file(request: Request) -> Response:
    """Inspect the scan file that the body is, and answer with the Inspection as JSON.

    The format is told by the content. A scan of several files (DICOS) is sent as one file, since a
    body holds one.
    """
    desk: Desk = request.app.state.desk
    body = await _body(request, desk)

    def work() -> dict[str, object]:
        with tempfile.TemporaryDirectory(prefix="nii-serve-") as folder:
            path = Path(folder, "scan")
            path.write_bytes(body)
            try:
                scan = formats.read_stored((path,)) or formats.read((path,))
            except ScanFormatError as error:
                text = f"found {error.found}; expected {error.expected}. {error.remedy}"
                raise Refused(422, text) from error
        return inspect(scan, desk.detector).to_json()

    return JSONResponse(await _in_turn(desk, work))


async def on_no_route(_request: Request, error: Exception) -> Response:
    """Answer to a place or a method that there is not, in the form of the protocol."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def on_failure(_request: Request, _error: Exception) -> Response:
    """Answer to a failure of ours without telling its inside; the log holds it."""
    return JSONResponse({"error": "the server failed; its log says why"}, 500)


async def _guarded(request: Request, handler: Handler) -> Response:
    """Turn what is wrong with a request into its answer."""
    try:
        return await handler(request)
    except Refused as refused:
        return JSONResponse({"error": str(refused)}, refused.status)
    except ConfigError as error:
        return JSONResponse({"error": str(error)}, 400)
    except ProviderError as error:
        _LOG.exception("the model failed")
        return JSONResponse({"error": str(error)}, 500)
    except NiiError as error:
        return JSONResponse({"error": str(error)}, 422)


async def _body(request: Request, desk: Desk) -> bytes:
    """Return the body of a request, bounded in size and time."""
    most = desk.settings.most_bytes
    size = request.headers.get("content-length", "")
    if size.isascii() and size.isdigit() and int(size[:20]) > most:
        raise Refused(413, f"found {size[:20]} bytes; expected at most {most}.")
    if desk.waiting >= desk.settings.most_waiting:
        raise Refused(503, "found a full line; expected fewer requests at once. Try again later.")
    desk.waiting += 1
    try:
        async with asyncio.timeout(desk.settings.seconds_for_body):
            parts, total = [], 0
            async for part in request.stream():
                total += len(part)
                if total > most:
                    raise Refused(413, f"found more than {most} bytes; expected at most these.")
                parts.append(part)
    except TimeoutError as error:
        raise Refused(408, "found a body that did not come in time; expected one.") from error
    finally:
        desk.waiting -= 1
    if not parts or not total:
        raise Refused(400, "found an empty body; expected a scan file or tensors.")
    return b"".join(parts)


async def _in_turn(desk: Desk, work: Callable[[], T]) -> T:
    """Do the work of one request in a thread, one at a time."""
    if desk.waiting >= desk.settings.most_waiting:
        raise Refused(503, "found a full line; expected fewer requests at once. Try again later.")
    desk.waiting += 1
    try:
        async with desk.turn:
            return await run_in_threadpool(work)
    finally:
        desk.waiting -= 1


def _check_model(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    card, names = desk.detector.card, request.path_params
    if names["model"] != card.name or names.get("version", card.version) != card.version:
        asked = "/".join(str(names[key]) for key in ("model", "version") if key in names)
        raise Refused(404, f"found {asked[:100]!r}; expected {card.name}, version {card.version}.")
    return desk


def _check_inputs(asked: tensors.Request, session: Session) -> None:
    names = [tensor.name for tensor in session.inputs]
    if sorted(asked.inputs) != sorted(names):
        raise tensors.bad(f"the inputs {sorted(asked.inputs)}", f"the inputs {sorted(names)}")
    for tensor in session.inputs:
        shape = asked.inputs[tensor.name].shape
        fits = len(shape) == len(tensor.shape) and all(
            not isinstance(own, int) or own == size
            for own, size in zip(tensor.shape, shape, strict=True)
        )
        if not fits:
            raise tensors.bad(f"{tensor.name} of {list(shape)}", f"{list(tensor.shape)}")


def _facts_of(tensor: Tensor) -> dict[str, object]:
    shape = [size if isinstance(size, int) else -1 for size in tensor.shape]
    return {"name": tensor.name, "datatype": tensors.FP32, "shape": shape}
