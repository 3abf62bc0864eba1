"""Settings that all programs on one store go by; a change is an event."""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from nii.config import from_dict, to_dict
from nii.store import audit, tables
from nii.store.audit import Actor, canonical
from nii.store.database import Store, timestamp

_TABLE = tables.settings
_DRAW_KEY = "draw key"
T = TypeVar("T")


def get(store: Store, name: str, kind: type[T]) -> T:
    """Return the settings of this name as a dataclass; its defaults where nothing was set.

    Raises:
        ConfigError: what is stored does not fit the dataclass.
    """
    with store.read() as connection:
        return read(connection, name, kind)


def put(store: Store, name: str, value: object, by: Actor, at: datetime) -> None:
    """Set settings, given as a dataclass; nothing happens where they are as they were."""
    new = to_dict(value)
    with store.write() as connection:
        old = _value(connection, name)
        if old == new:
            return
        _write(connection, name, new, at)
        payload = {"name": name, "old": old, "new": new, "by": by.to_json()}
        audit.append(connection, audit.Entry(audit.SETTINGS_CHANGED, None, payload), at)


def read(connection: sa.Connection, name: str, kind: type[T]) -> T:
    """Return settings within an open transaction; see :func:`get`."""
    return from_dict(kind, _value(connection, name) or {}, where=f"settings {name!r}")


def draw_key(connection: sa.Connection, at: datetime) -> bytes:
    """Return the secret that random draws hang on; made once, within a writing transaction.

    Nobody who does not know it can tell which scans will be drawn. It never goes into an event.
    """
    key = _value(connection, _DRAW_KEY)
    if key is None:
        key = secrets.token_hex(32)
        _write(connection, _DRAW_KEY, key, at)
    return bytes.fromhex(key)


def _value(connection: sa.Connection, name: str) -> Any:  # noqa: ANN401
    query = sa.select(_TABLE.c.value).where(_TABLE.c.name == name)
    text = connection.execute(query).scalar_one_or_none()
    return None if text is None else json.loads(text)


def _write(connection: sa.Connection, name: str, value: object, at: datetime) -> None:
    connection.execute(sa.delete(_TABLE).where(_TABLE.c.name == name))
    row = {"name": name, "value": canonical(value), "changed_at": timestamp(at)}
    connection.execute(sa.insert(_TABLE).values(row))
