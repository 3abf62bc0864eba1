"""What an artefact was made of: tool, sources, steps, settings; to JSON and back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nii

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that an artefact was made from: its name (no folder) and its SHA-256 (hex)."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """State how an artefact came to be.

    Attributes:
        tool: program and version, for example ``nii 0.1.0``.
        sources: the files it was made from.
        steps: what was done, oldest first; assumptions that were made stand here in words.
        settings: the values that would be needed to make it again (JSON types only).
    """

    tool: str = f"nii {nii.__version__}"
    sources: tuple[SourceFile, ...] = ()
    steps: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def with_step(self, step: str) -> Provenance:
        """Return a copy with one more step at the end."""
        return Provenance(self.tool, self.sources, (*self.steps, step), self.settings)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return {
            "tool": self.tool,
            "sources": [{"name": s.name, "sha256": s.sha256} for s in self.sources],
            "steps": list(self.steps),
            "settings": self.settings,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Provenance:
        """Rebuild the record that :meth:`to_json` wrote."""
        return cls(
            tool=data["tool"],
            sources=tuple(SourceFile(s["name"], s["sha256"]) for s in data["sources"]),
            steps=tuple(data["steps"]),
            settings=dict(data["settings"]),
        )


def sha256_of_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits, reading it in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_sources(sources: tuple[SourceFile, ...]) -> str:
    """Return one SHA-256 for a set of files.

    One file keeps its own digest. Several files get the digest of their sorted hex digests, one a
    line, so that neither the names nor the order of the files matters.
    """
    digests = sorted(source.sha256 for source in sources)
    if len(digests) == 1:
        return digests[0]
    return sha256_of_bytes("\n".join(digests).encode("ascii"))
