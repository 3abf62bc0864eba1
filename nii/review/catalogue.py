"""Every text that has to be translated, found in templates and modules; catalogues kept up to date.

A text is marked by the call that says it: ``_("…")`` in a template, ``say("…")`` in a module. Words
that stand in tables come from the tables.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from nii.review import terms, viewer, words
from nii.review.language import LANGUAGES, SOURCE, path_of
from nii.review.rendering import TEMPLATES
from nii.store import reasons

_HERE = Path(__file__).parent
_HEADER = """# Texts of the officers' web app, Apache-2.0, by the nii contributors.
# Made by a machine: a native reader who knows customs has not checked them yet.
"""
_PLACEHOLDER = re.compile(r"%\(\w+\)s|%%")


def messages() -> tuple[str, ...]:
    """Return all texts, sorted."""
    found = {*words.messages(), *viewer.TEXTS.values(), *viewer.LEVEL_TEXTS.values()}
    found |= {text for _, text in viewer.SCORE_TEXTS}
    found |= {
        reasons.meaning(verdict, code)
        for verdict in terms.VERDICTS
        for code in reasons.codes(verdict)
    }
    found |= {text for table in terms.TABLES for text in table.values()}
    for path in sorted(TEMPLATES.glob("*.html")):
        found |= set(_extracted("jinja2", path))
    for path in sorted(_HERE.glob("*.py")):
        found |= set(_extracted("python", path))
    return tuple(sorted(found - {""}))


def read(code: str) -> Catalog:
    """Return the catalogue of a language; an empty one where there is none yet."""
    if not path_of(code).exists():
        return Catalog(locale=code)
    with path_of(code).open("rb") as source:
        return read_po(source, locale=code)


def problems(code: str) -> tuple[str, ...]:
    """Return what is wrong with the catalogue of a language: missing, fuzzy, odd, left over."""
    wanted, catalogue, found = set(messages()), read(code), []
    for text in sorted(wanted):
        entry = catalogue.get(text)
        said = str(entry.string) if entry is not None else ""
        if not said.strip():
            found.append(f"not translated: {text}")
        elif entry is not None and entry.fuzzy:
            found.append(f"fuzzy: {text}")
        elif sorted(_PLACEHOLDER.findall(text)) != sorted(_PLACEHOLDER.findall(said)):
            found.append(f"other placeholders than in the source: {text}")
    left = {str(entry.id) for entry in catalogue if entry.id} - wanted
    return (*found, *(f"no longer used: {text}" for text in sorted(left)))


def update(code: str, translated: dict[str, str]) -> None:
    """Write the catalogue of a language: what it holds, with new translations on top."""
    known = {str(entry.id): str(entry.string) for entry in read(code) if entry.id} | translated
    catalogue = Catalog(locale=code, header_comment=_HEADER.rstrip(), fuzzy=False)
    for text in messages():
        flags = ("python-format",) if _PLACEHOLDER.search(text) else ()
        catalogue.add(text, known.get(text, ""), flags=flags)
    plain = io.BytesIO()
    write_po(plain, catalogue, width=100, omit_header=True, sort_output=True)
    head = f'{_HEADER}msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    head += f'"Language: {code}\\n"\n\n'
    _write(path_of(code), head.encode() + plain.getvalue())


def update_all() -> None:
    """Bring the catalogues of all languages in line with the texts of the source."""
    for language in LANGUAGES:
        if language.code != SOURCE:
            update(language.code, {})


def _extracted(method: str, path: Path) -> Iterator[str]:
    keywords = {"_": None, "say": None}
    kind = {"jinja2": "jinja2.ext:babel_extract", "python": "python"}[method]
    with path.open("rb") as source:
        for _, text, *_ in extract(kind, source, keywords, options={"silent": "false"}):
            if isinstance(text, str):
                yield text


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    with os.fdopen(handle, "wb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())
    Path(temporary).replace(path)
