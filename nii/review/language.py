"""Languages of the web app: catalogues of texts, dates, numbers and lengths of time.

The catalogues lie beside this module as ``locale/<language>/LC_MESSAGES/nii.po`` and are compiled
when a language is first asked for, so no compiled file can be older than its source.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import SupportsFloat
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

LOCALE = Path(__file__).with_name("locale")
SOURCE = "en"
"""Language that the texts in templates and modules are written in; it has no catalogue."""


@dataclass(frozen=True, slots=True)
class Language:
    """Describe one language.

    Attributes:
        code: as in addresses, accounts and the attribute ``lang`` of a page.
        name: as its speakers write it.
        locale: where dates and numbers come from.
    """

    code: str
    name: str
    locale: str


LANGUAGES = (
    Language("en", "English", "en_GB"),
    Language("ru", "Русский", "ru"),
    Language("zh", "中文", "zh_Hans_CN"),
    Language("kk", "Қазақша", "kk"),
    Language("ky", "Кыргызча", "ky"),
    Language("uz", "Oʻzbekcha", "uz_Latn_UZ"),
    Language("tg", "Тоҷикӣ", "tg"),
    Language("tk", "Türkmençe", "tk"),
)
CODES = tuple(language.code for language in LANGUAGES)


@dataclass(frozen=True, slots=True)
class Tongue:
    """Speak one language.

    Attributes:
        code: of the language.
        locale: for dates and numbers.
        texts: the catalogue.
    """

    code: str
    locale: Locale
    texts: NullTranslations

    def say(self, text: str, **values: object) -> str:
        """Return a text of the source in this language, its ``%(name)s`` filled in."""
        found = self.texts.gettext(text) if text else ""
        return found % values if values else found

    def number(self, value: SupportsFloat, digits: int = 0) -> str:
        """Return a number with this many digits after the sign for decimals."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(float(value), format=pattern, locale=self.locale)

    def percent(self, share: SupportsFloat) -> str:
        """Return a share in whole per cent."""
        return format_percent(float(share), locale=self.locale)

    def moment(self, at: datetime, zone: ZoneInfo | None = None) -> str:
        """Return date and time in a zone; in that of this machine where none is given."""
        return format_datetime(at.astimezone(zone), "medium", locale=self.locale)

    def clock(self, at: datetime, zone: ZoneInfo | None = None) -> str:
        """Return the time of day without seconds."""
        return format_time(at.astimezone(zone), "short", locale=self.locale)

    def span(self, length: timedelta) -> str:
        """Return a length of time in its largest unit or two, rounded down."""
        minutes = max(length, timedelta()) // timedelta(minutes=1)
        if minutes < 60:  # noqa: PLR2004
            return self.say("%(minutes)s min", minutes=minutes)
        hours, minutes = divmod(minutes, 60)
        if hours < 48:  # noqa: PLR2004
            return self.say("%(hours)s h %(minutes)s min", hours=hours, minutes=f"{minutes:02}")
        return self.say("%(days)s d", days=hours // 24)


@cache
def tongue(code: str) -> Tongue:
    """Return the language with this code, or the source's where there is none."""
    known = {language.code: language for language in LANGUAGES}
    language = known.get(code, known[SOURCE])
    return Tongue(language.code, Locale.parse(language.locale), _texts(language.code))


def preferred(accepted: str) -> str:
    """Return the language that a browser's Accept-Language asks for and that there is."""
    wishes: list[tuple[float, str]] = []
    for part in accepted[:500].split(","):
        name, _, quality = part.partition(";q=")
        code = name.strip().lower().partition("-")[0]
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if code in CODES and weight > 0:
            wishes.append((-weight, code))
    return min(wishes, key=lambda wish: wish[0])[1] if wishes else SOURCE


def path_of(code: str) -> Path:
    """Return where the catalogue of a language lies."""
    return LOCALE / code / "LC_MESSAGES" / "nii.po"


def _texts(code: str) -> NullTranslations:
    if code == SOURCE or not path_of(code).exists():
        return NullTranslations()
    compiled = io.BytesIO()
    with path_of(code).open("rb") as source:
        write_mo(compiled, read_po(source, locale=code))
    compiled.seek(0)
    return GNUTranslations(compiled)
