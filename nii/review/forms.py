"""JSON documents of the API: their schemas, and how records become them."""

from __future__ import annotations

import json
from typing import Any

from nii import taxonomy
from nii.config import to_dict
from nii.review import terms
from nii.review.desk import Case, Row
from nii.review.live import Happening
from nii.review.schema import Schema
from nii.store.decisions import Decision
from nii.store.marks import KeptMark
from nii.store.outcomes import KeptOutcome
from nii.store.scans import KeptScan

_ID: Schema = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_LEVELS = ["clear", "look", "search"]
_PLAIN = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
"""Texts without control characters other than tab and line feed."""
_CLASSES = ["", *(row.name for row in taxonomy.in_group("threat"))]
NOTHING: Schema = {"type": "object", "additionalProperties": False, "properties": {}}


def ref(name: str) -> Schema:
    """Return a reference to one of our documents."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(name: str) -> Schema:
    """Return the schema of a page of documents."""
    return _object({"items": {"type": "array", "items": ref(name)}})


def _object(properties: dict[str, Schema], *optional: str, closed: bool = True) -> Schema:
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "additionalProperties": not closed,
        "properties": properties,
    }


def _or_null(given: Schema) -> Schema:
    return {**given, "type": [given["type"], "null"]}


def _string(longest: int) -> Schema:
    return {"type": "string", "maxLength": longest, "pattern": _PLAIN}


_DECISION: dict[str, Schema] = {
    "id": _ID,
    "inspection_id": _ID,
    "verdict": {"type": "string", "enum": list(terms.VERDICTS)},
    "reason_code": _TEXT,
    "reason": _TEXT,
    "officer": _TEXT,
    "user_id": _or_null(_ID),
    "decided_at": _TIME,
    "why": _TEXT,
    "seconds": {"type": ["number", "null"]},
    "blind": {"type": "boolean"},
}
_MARK: dict[str, Schema] = {
    "id": _ID,
    "inspection_id": _ID,
    "mark": {"type": "string", "enum": list(terms.MARKS)},
    "region_number": _or_null(_ID),
    "class_name": _TEXT,
    "box_xyxy": {"type": ["array", "null"], "items": {"type": "number"}},
    "remark": _TEXT,
    "withdraws": _or_null(_ID),
    "officer": _TEXT,
    "marked_at": _TIME,
}
_OUTCOME: dict[str, Schema] = {
    "id": _ID,
    "inspection_id": _ID,
    "found": {"type": "boolean"},
    "class_name": _TEXT,
    "quantity": _TEXT,
    "remark": _TEXT,
    "officer": _TEXT,
    "examined_at": _TIME,
}
_ROW: dict[str, Schema] = {
    "id": _ID,
    "level": {"type": "string", "enum": [*_LEVELS, "blind"]},
    "title": _TEXT,
    "scan_sha256": _SHA256,
    "classes": {"type": "array", "items": _TEXT},
    "contradicted": {
        "type": "boolean",
        "description": "A container was declared empty, and is not.",
    },
    "site": _TEXT,
    "waiting_since": _TIME,
    "why": _TEXT,
    "group": _or_null(_TEXT),
    "verdict": _or_null(_TEXT),
    "claimed_by": _or_null(_TEXT),
}
_INSPECTION: dict[str, Schema] = {
    "id": _ID,
    "scan_sha256": _SHA256,
    "filed_at": _TIME,
    "state": {"type": "string", "enum": list(terms.STATES)},
    "why": _TEXT,
    "blind": {
        "type": "boolean",
        "description": "Regions are withheld until an officer has decided; the document is null.",
    },
    "claimed_by": _or_null(_TEXT),
    "inspection": {
        "type": ["object", "null"],
        "description": "As nii/inspection.schema.json describes it.",
    },
}

SCHEMAS: dict[str, Schema] = {
    "QueuePage": _object(
        {
            "items": {"type": "array", "items": ref("QueueRow")},
            "counts": _object({level: {"type": "integer"} for level in _LEVELS}),
            "after": _or_null(_TEXT),
        }
    ),
    "QueueRow": _object(_ROW),
    "Inspection": _object(_INSPECTION),
    "WholeInspection": _object(
        {
            **_INSPECTION,
            "decisions": {"type": "array", "items": ref("Decision")},
            "marks": {"type": "array", "items": ref("Mark")},
            "outcomes": {"type": "array", "items": ref("Outcome")},
        }
    ),
    "Claim": _object({"until": _TIME}),
    "Decision": _object(_DECISION),
    "NewDecision": _object(
        {
            "verdict": _DECISION["verdict"],
            "reason_code": _string(32),
            "reason": _string(2000),
            "group": _string(64),
            "seconds": {"type": ["number", "null"], "minimum": 0, "maximum": 86400},
        },
        *("reason_code", "reason", "group", "seconds"),
    ),
    "Mark": _object(_MARK),
    "NewMark": _object(
        {
            "mark": _MARK["mark"],
            "region_number": _or_null(_ID),
            "class_name": {"type": "string", "enum": _CLASSES},
            "box_xyxy": {
                "type": ["array", "null"],
                "items": {"type": "number", "minimum": 0, "maximum": 1_000_000},
                "minItems": 4,
                "maxItems": 4,
            },
            "remark": _string(2000),
            "withdraws": _or_null(_ID),
        },
        *("region_number", "class_name", "box_xyxy", "remark", "withdraws"),
    ),
    "Outcome": _object(_OUTCOME),
    "NewOutcome": _object(
        {
            "found": {"type": "boolean"},
            "class_name": {"type": "string", "enum": _CLASSES},
            "quantity": _string(100),
            "remark": _string(2000),
        },
        *("class_name", "quantity", "remark"),
    ),
    "Views": _object(
        {
            "items": {
                "type": "array",
                "minItems": 1,
                "maxItems": 100,
                "items": _object(
                    {
                        "at": _string(40),
                        "tool": _string(64),
                        "value": _string(100),
                    }
                ),
            }
        }
    ),
    "Scan": _object(
        {
            "sha256": _SHA256,
            "files": {"type": "array", "items": ref("File")},
            "inspections": {"type": "array", "items": _ID},
        }
    ),
    "File": _object({"name": _TEXT, "sha256": _SHA256, "bytes": {"type": "integer"}}),
    "Pushed": _object(
        {
            "sha256": _SHA256,
            "inspection_id": _or_null(_ID),
            "waiting": {"type": "boolean", "description": "It waits for a model to inspect it."},
        }
    ),
    "Event": _object(
        {
            "number": {"type": "integer"},
            "at": _TIME,
            "kind": _TEXT,
            "inspection_id": _or_null(_ID),
        }
    ),
    "EventPage": _object(
        {"items": {"type": "array", "items": ref("Event")}, "after": {"type": "integer"}}
    ),
}


def row(given: Row) -> dict[str, Any]:
    """Return a row of the queue."""
    return {
        "id": given.id,
        "level": given.level,
        "title": given.title,
        "scan_sha256": given.scan,
        "classes": list(given.classes),
        "contradicted": given.contradicted,
        "site": given.site,
        "waiting_since": given.since.isoformat(),
        "why": given.why,
        "group": given.group,
        "verdict": given.verdict,
        "claimed_by": given.holder,
    }


def inspection(case: Case) -> dict[str, Any]:
    """Return an inspection; without its findings while officers look first."""
    return {
        "id": case.filed.id,
        "scan_sha256": case.filed.scan_sha256,
        "filed_at": case.filed.filed_at.isoformat(),
        "state": case.state,
        "why": case.why,
        "blind": case.blind,
        "claimed_by": case.holder,
        "inspection": None if case.blind else case.inspection.to_json(),
    }


def decision(given: Decision) -> dict[str, Any]:
    """Return a decision."""
    plain = {**to_dict(given), "decided_at": given.decided_at.isoformat()}
    return {name: plain[name] for name in _DECISION}


def mark(given: KeptMark) -> dict[str, Any]:
    """Return a mark."""
    plain = to_dict(given.mark)
    return {
        "id": given.id,
        "inspection_id": given.inspection_id,
        "mark": given.mark.sign.value,
        **{name: plain[name] for name in ("region_number", "class_name", "box_xyxy", "remark")},
        "withdraws": given.mark.withdraws,
        "officer": given.officer,
        "marked_at": given.marked_at.isoformat(),
    }


def outcome(given: KeptOutcome) -> dict[str, Any]:
    """Return the result of a physical examination."""
    found = given.outcome
    return {
        "id": given.id,
        "inspection_id": given.inspection_id,
        "found": found.found,
        "class_name": found.class_name,
        "quantity": found.quantity,
        "remark": found.remark,
        "officer": given.officer,
        "examined_at": found.examined_at.isoformat(),
    }


def scan(kept: KeptScan, filed: tuple[int, ...]) -> dict[str, Any]:
    """Return a scan and the ids of its inspections."""
    files = [{"name": file.name, "sha256": file.sha256, "bytes": file.bytes} for file in kept.files]
    return {"sha256": kept.sha256, "files": files, "inspections": list(filed)}


def event(given: Happening) -> dict[str, Any]:
    """Return an event."""
    plain: dict[str, Any] = json.loads(given.as_json())
    return plain
