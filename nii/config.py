"""TOML → frozen dataclass, strictly: an unknown key or a wrong type is an error.

A setting is written once, as a field with a docstring in a frozen dataclass; a TOML file only
overrides defaults. Supported field types: bool, int, float, str, Path, Literal, enums, Optional,
tuples of these, dictionaries from str, and nested dataclasses.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
from collections.abc import Hashable, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from nii.errors import ConfigError

T = TypeVar("T")


def load(path: Path, kind: type[T]) -> T:
    """Read a TOML file into the dataclass `kind`.

    Raises:
        ConfigError: the file is missing, is no TOML, or a key or value does not fit.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            path, found=str(error), expected="a readable TOML file", remedy="Check the path."
        ) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            path, found=f"bad TOML: {error}", expected="valid TOML", remedy="Mend that line."
        ) from error
    return from_dict(kind, data, where=str(path))


def from_dict(kind: type[T], data: dict[str, Any], *, where: str = "settings") -> T:
    """Build the dataclass `kind` from plain values; defaults fill what is absent.

    Raises:
        ConfigError: a key is unknown, a value has the wrong type, or a required key is missing.
    """
    hints = _hints(kind)  # type: ignore[arg-type]
    for key in data:
        if key not in hints:
            near = difflib.get_close_matches(key, list(hints), n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "Remove the key."
            raise ConfigError(
                where,
                found=f"the unknown key {key!r}",
                expected=f"one of {', '.join(hints)}",
                remedy=hint,
            )
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in data.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            where,
            found=str(error),
            expected=f"settings that {kind.__name__} accepts",
            remedy="Change or add the setting named.",
        ) from error


@cache
def _hints(kind: Hashable) -> Mapping[str, Any]:
    """Return the types of a dataclass's fields, found once: lists of inspections ask often."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}  # type: ignore[arg-type]


def to_dict(record: Any) -> Any:  # noqa: ANN401
    """Return a dataclass as plain JSON types; the inverse of :func:`from_dict`."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_dict(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, dict):
        return {str(key): to_dict(value) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return [to_dict(value) for value in record]
    if isinstance(record, Enum):
        return record.value
    return str(record) if isinstance(record, Path) else record


def _convert(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(hint, value, where)
    if origin is Literal:
        return _require(value in get_args(hint), value, f"one of {get_args(hint)}", where)
    if origin is tuple:
        return _convert_tuple(hint, value, where)
    if origin in (dict, Mapping):
        _require(isinstance(value, dict), value, "a table", where)
        return {key: _convert(get_args(hint)[1], item, where) for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        _require(isinstance(value, dict), value, "a table", where)
        return from_dict(hint, value, where=where)  # type: ignore[arg-type]
    return _convert_plain(hint, value, where)


def _convert_plain(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    if isinstance(hint, type) and issubclass(hint, Enum):
        known = [member.value for member in hint]
        return hint(_require(value in known, value, f"one of {known}", where))
    if hint is Path:
        return Path(_require(isinstance(value, str), value, "a path", where))
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(_require(number, value, "a number", where))
    if hint is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return _require(whole, value, "a whole number", where)
    return _require(isinstance(value, hint), value, f"a value of type {hint.__name__}", where)


def _convert_union(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401
    options = [option for option in get_args(hint) if option is not type(None)]
    if value is None and len(options) < len(get_args(hint)):
        return None
    for option in options[:-1]:
        try:
            return _convert(option, value, where)
        except ConfigError:
            continue
    return _convert(options[-1], value, where)


def _convert_tuple(hint: Any, value: Any, where: str) -> tuple[Any, ...]:  # noqa: ANN401
    _require(isinstance(value, list | tuple), value, "a list", where)
    inner = get_args(hint)
    if len(inner) == 2 and inner[1] is Ellipsis:  # noqa: PLR2004
        return tuple(_convert(inner[0], item, where) for item in value)
    _require(len(value) == len(inner), value, f"a list of {len(inner)} values", where)
    return tuple(_convert(kind, item, where) for kind, item in zip(inner, value, strict=True))


def _require(fits: bool, value: Any, expected: str, where: str) -> Any:  # noqa: ANN401, FBT001
    if not fits:
        raise ConfigError(
            where, found=repr(value), expected=expected, remedy="Change the value in the file."
        )
    return value
