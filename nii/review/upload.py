"""Scans that programs bring: stored by content, inspected when a model gets to them.

The files come as a form, as web browsers and every HTTP client send them. Nothing of it is
believed: names may hold no path, the files must be of a known kind, an inspection must be about
this scan.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from nii import formats
from nii.errors import NiiError
from nii.inspection import Inspection
from nii.review.desk import Desk
from nii.review.operations import Call
from nii.review.schema import Schema

MEDIA = "multipart/form-data"
MOST_FILES = 8
_LONGEST_NAME = 200
_LONGEST_INSPECTION = 4 << 20
_FORBIDDEN = frozenset('/\\:*?"<>|')
"""What no name of a file holds on every system."""
FORM: Schema = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_FILES,
            "items": {"type": "string", "format": "binary"},
            "description": "The files of one scan, each with its name.",
        },
        "inspection": {
            "type": "string",
            "maxLength": _LONGEST_INSPECTION,
            "description": "As nii/inspection.schema.json describes it; without it the scan waits.",
        },
    },
}


async def push(call: Call) -> dict[str, Any]:
    """Store the scan of a form."""
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != MEDIA:
        raise HTTPException(415, f"The body must be {MEDIA}.")
    try:
        async with call.request.form(
            max_files=MOST_FILES, max_fields=1, max_part_size=_LONGEST_INSPECTION
        ) as form:
            return await run_in_threadpool(_store, call, form)
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error


def _store(call: Call, form: FormData) -> dict[str, Any]:
    desk: Desk = call.request.app.state.desk
    uploads = [each for each in form.getlist("file") if isinstance(each, UploadFile)]
    if not uploads or set(form) - {"file", "inspection"}:
        raise HTTPException(422, "The form holds the fields file (one or more) and inspection.")
    found = _inspection(form.get("inspection"))
    with tempfile.TemporaryDirectory(prefix=".pushed-", dir=desk.store.files) as folder:
        paths = [_laid_down(each, Path(folder)) for each in uploads]
        if found is None:
            _check_kind(paths)
        return desk.push(call.person, paths, found)


def _laid_down(upload: UploadFile, folder: Path) -> Path:
    name = upload.filename or ""
    if not is_plain(name):
        raise HTTPException(422, "A file needs a plain name, without folders or odd characters.")
    path = folder / name
    if path.exists():
        raise HTTPException(422, "Two files have the same name.")
    with path.open("xb") as target:
        shutil.copyfileobj(upload.file, target, 1 << 20)
    return path


def is_plain(name: str) -> bool:
    """Tell whether a name is that of a file and nothing else, on every system."""
    return (
        0 < len(name) <= _LONGEST_NAME
        and name.isprintable()
        and not _FORBIDDEN & set(name)
        and not name.startswith(".")
        and name == name.strip(" .")
    )


def _inspection(given: UploadFile | str | None) -> Inspection | None:
    if given is None:
        return None
    if isinstance(given, UploadFile):
        given = given.file.read(_LONGEST_INSPECTION).decode("utf-8", "replace")
    try:
        return Inspection.from_json(json.loads(given))
    except (NiiError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise HTTPException(422, f"The inspection cannot be read: {error}"[:500]) from error


def _check_kind(paths: list[Path]) -> None:
    """Check that the files are of a kind that can be read as a scan."""
    try:
        formats.read_stored(paths) or formats.read(paths)
    except (NiiError, OSError) as error:
        raise HTTPException(422, str(error)[:500].replace(str(paths[0].parent), "")) from error
