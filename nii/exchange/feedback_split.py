"""Which scans belong together, and into which split they go, without saying whose they are.

Scans that share a container, wagon, plate or manifest belong to one group, and so do groups that a
further scan ties together. A group goes whole into one split, drawn by a keyed hash. The key stays
with the store: without it, nobody can find a container number by trying all of them.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from nii.errors import ConfigError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
TYING_KINDS = ("container", "wagon", "plate", "manifest")
"""Kinds of documents that tie scans together; goods of one kind do not."""
_KEY_BYTES = 32
_NAME_DIGITS = 20
"""Hexadecimal digits of a name: 80 bits, so that no two scans share one."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Say which part of the groups goes where; the rest is for training."""

    val: float = 0.15
    """Share for validation."""
    test: float = 0.15
    """Share for the final test."""

    def __post_init__(self) -> None:
        """Check that something is left to train on.

        Raises:
            ValueError: a share is negative, or nothing is left.
        """
        if min(self.val, self.test) < 0 or self.val + self.test >= 1:
            msg = f"shares of {self.val} and {self.test} leave nothing to train on"
            raise ValueError(msg)


def read_key(path: Path) -> bytes:
    """Return the secret key in a file; the file is made, for its owner only, where it is missing.

    Raises:
        ConfigError: the file holds something else.
        OSError: it can be neither read nor made.
    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise ConfigError(
                path,
                found=f"{len(key)} bytes",
                expected=f"a key of {_KEY_BYTES} bytes",
                remedy="Restore it from a backup; a new one changes every name and every split.",
            ) from None
        return key
    with os.fdopen(number, "wb") as stream:
        key = secrets.token_bytes(_KEY_BYTES)
        stream.write(key)
        stream.flush()
        os.fsync(stream.fileno())
    return key


def pseudonym(key: bytes, kind: str, value: str) -> str:
    """Return a name that stands for a value and tells nothing of it without the key."""
    text = f"{kind}\n{value}".encode()
    return hmac.new(key, text, "sha256").hexdigest()[:_NAME_DIGITS]


def groups_of(ties: Iterable[tuple[str, str]], scans: Iterable[str], key: bytes) -> dict[str, str]:
    """Return the group of each scan.

    Args:
        ties: pairs of a scan and something that it shares with others.
        scans: all scans, tied or not.
        key: for the names of groups.

    Returns:
        By scan: the smallest pseudonym of whatever its group holds.
    """
    parent: dict[str, str] = {}

    def root(item: str) -> str:
        parent.setdefault(item, item)
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for scan, tie in ties:
        parent[root(f"scan\n{scan}")] = root(f"tie\n{tie}")
    names: dict[str, str] = {}
    for item in list(parent):
        top, name = root(item), pseudonym(key, "group", item)
        names[top] = min(names.get(top, name), name)
    return {
        scan: names.get(root(f"scan\n{scan}"), pseudonym(key, "group", f"scan\n{scan}"))
        for scan in scans
    }


def splits_of(
    groups: Mapping[str, str], earlier: Mapping[str, str], key: bytes, shares: Shares
) -> dict[str, Split]:
    """Return the split of each group.

    A group that was exported before stays where it is. Where a new scan ties groups of different
    splits together, all go to train, or else to val: what a model may have been trained on never
    comes into a test.

    Args:
        groups: group of each scan.
        earlier: split of each scan that was exported before.
        key: decides over new groups.
        shares: of val and test.
    """
    was: dict[str, set[str]] = {}
    for scan, split in earlier.items():
        if scan in groups:
            was.setdefault(groups[scan], set()).add(split)
    result: dict[str, Split] = {}
    for group in set(groups.values()):
        known = [split for split in SPLITS if split in was.get(group, ())]
        result[group] = known[0] if known else _drawn(group, key, shares)
    return result


def _drawn(group: str, key: bytes, shares: Shares) -> Split:
    place = int(pseudonym(key, "split", group), 16) / 16**_NAME_DIGITS
    if place < shares.test:
        return "test"
    return "val" if place < shares.test + shares.val else "train"
