"""What an operation of the API is, how a request becomes a call of it, and its description.

One table of operations (:mod:`nii.review.api`) is the routes, the checks and the OpenAPI document,
so the three cannot differ.

Reference:
    OpenAPI Specification 3.1.1 (2024).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import nii
from nii.errors import NiiError
from nii.review import schema
from nii.review.auth import Person, Right
from nii.review.problems import MEDIA, problem
from nii.review.schema import Schema
from nii.store.claims import is_held

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose parameters and body fit the description.

    Attributes:
        request: as it came.
        person: who asks.
        path: what stands in the braces of the path.
        query: parameters of the address; the defaults where none were given.
        body: the JSON document; empty where the operation takes none.
    """

    request: Request
    person: Person
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """Describe one operation.

    Attributes:
        name: unique; `operationId` of the document.
        method: GET, POST or DELETE.
        path: below the prefix, with braces.
        right: what the caller must be allowed to.
        summary: one line for the reader of the document.
        handler: does it; a function or a coroutine function.
        answer: schema of a good answer; None where it has no body.
        status: of a good answer.
        query: name → schema of each parameter of the address; `default` is what counts if absent.
        body: schema of the JSON document that it takes; None where it takes none.
        media: media types of the body and of the answer, where they are not JSON.
        also: further statuses that may come.
    """

    name: str
    method: str
    path: str
    right: Right
    summary: str
    handler: Callable[[Call], Any]
    answer: Schema | None = None
    status: int = 200
    query: Mapping[str, Schema] = field(default_factory=dict)
    body: Schema | None = None
    media: tuple[str, str] = ("application/json", "application/json")
    also: tuple[int, ...] = ()


PATH_PARAMETERS: Mapping[str, Schema] = {
    "id": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}


def routes(operations: Sequence[Operation]) -> list[Route]:
    """Return a route for each path below the prefix, which knows all methods of the path."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [_route(path, methods) for path, methods in by_path.items()]


def _route(path: str, methods: Mapping[str, Operation]) -> Route:
    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await _answer(methods[method], request)

    return Route(path, answer, methods=list(methods))


async def _answer(operation: Operation, request: Request) -> Response:
    try:
        call = await _call(operation, request)
        if inspect.iscoroutinefunction(operation.handler):
            found = await operation.handler(call)
        else:
            found = await run_in_threadpool(operation.handler, call)
    except NiiError as error:
        return problem(409 if is_held(error) else 422, str(error))
    if isinstance(found, Response):
        return found
    if operation.answer is None:
        return Response(status_code=operation.status)
    return JSONResponse(found, operation.status)


async def _call(operation: Operation, request: Request) -> Call:
    person: Person = request.state.person
    if not person.may(operation.right):
        raise HTTPException(403, f"This needs the right {operation.right.value!r}.")
    path = {
        name: _parameter(text, PATH_PARAMETERS[name], name, 404)
        for name, text in request.path_params.items()
    }
    query = {name: given.get("default") for name, given in operation.query.items()}
    for name, text in request.query_params.multi_items():
        if name not in operation.query:
            raise HTTPException(400, f"There is no parameter {name[:40]!r} here.")
        if len(request.query_params.getlist(name)) > 1:
            raise HTTPException(400, f"{name} stands there twice.")
        query[name] = _parameter(text, operation.query[name], name, 400)
    body = await _body(operation, request)
    return Call(request, person, path, query, body)


def _parameter(text: str, given: Schema, name: str, status: int) -> object:
    value, wrong = schema.read(text, given, name)
    if wrong:
        raise HTTPException(status, wrong)
    return value


async def _body(operation: Operation, request: Request) -> Mapping[str, Any]:
    if operation.body is None or operation.media[0] != "application/json":
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "The body must be application/json.")
    try:
        found = json.loads(await request.body(), parse_constant=_no_number)
    except ClientDisconnect:
        raise HTTPException(400, "The body did not come whole.") from None
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is no JSON.") from None
    wrong = schema.problem(found, operation.body)
    if wrong:
        raise HTTPException(422, wrong)
    return dict(found)


def _no_number(text: str) -> float:
    raise ValueError(text)


def document(operations: tuple[Operation, ...], schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """Return the OpenAPI document of a table of operations."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    scopes = "\n".join(f"* `{right.value}`" for right in Right)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "nii: review of cargo scans",
            "version": nii.__version__,
            "description": (
                "Push scans, pull findings and decisions, follow events. A program sends its token "
                f"as `Authorization: Bearer …`; a token has some of the scopes\n{scopes}"
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM_SCHEMA},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    parameters = [_as_parameter("path", name, PATH_PARAMETERS[name]) for name in names]
    parameters += [_as_parameter("query", name, given) for name, given in operation.query.items()]
    statuses = {400, 401, 403, 429, *operation.also}
    statuses |= {404} if names else set()
    takes = operation.body is not None or operation.media[0] != "application/json"
    statuses |= {411, 413, 415, 422} if takes else set()
    statuses |= {411} if operation.method != "GET" else set()
    good: dict[str, Any] = {"description": operation.summary}
    if operation.answer is not None:
        good["content"] = {operation.media[1]: {"schema": operation.answer}}
    result: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Needs the scope `{operation.right.value}`.",
        "parameters": parameters,
        "responses": {str(operation.status): good}
        | {str(status): _refusal(status) for status in sorted(statuses - {operation.status})},
    }
    if takes:
        given = operation.body or {"type": "string", "format": "binary"}
        result["requestBody"] = {
            "required": True,
            "content": {operation.media[0]: {"schema": given}},
        }
    return result


def _as_parameter(place: str, name: str, given: Schema) -> dict[str, Any]:
    known = {key: value for key, value in given.items() if key != "description"}
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": known,
        "description": given.get("description", ""),
    }


_PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def _refusal(status: int) -> dict[str, Any]:
    content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": HTTPStatus(status).phrase, "content": content}
