"""Claims about languages: dates, numbers, lengths of time, and which one is spoken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from nii.review import language
from nii.review.language import CODES, preferred, tongue

NOON = datetime(2026, 1, 2, 12, 5, tzinfo=UTC)


@pytest.mark.parametrize("code", CODES)
def test_every_language_has_its_dates_and_numbers(code: str) -> None:
    """Each language writes a date with its year, and a number that reads back."""
    speak = tongue(code)
    assert speak.code == code
    assert "2026" in speak.moment(NOON, ZoneInfo("UTC"))
    assert "05" in speak.clock(NOON, ZoneInfo("UTC"))
    digits = [sign for sign in speak.number(1234567.5, 1) if sign.isdigit()]
    assert digits == list("12345675")
    assert "30" in speak.percent(0.3)


@pytest.mark.parametrize("code", [code for code in CODES if code != language.SOURCE])
def test_every_language_speaks(code: str) -> None:
    """A text in another language is another text, with what was filled in."""
    speak = tongue(code)
    assert speak.say("Queue") != "Queue"
    assert "Anna" in speak.say("with %(name)s", name="Anna")
    assert speak.say("") == ""


def test_numbers_follow_the_locale() -> None:
    """The sign for decimals and the grouping are those of the language."""
    assert tongue("en").number(1234.5, 2) == "1,234.50"
    assert tongue("ru").number(1234.5, 2) == "1\xa0234,50"


def test_the_zone_moves_the_time() -> None:
    """A time is shown in the zone that is asked for."""
    assert "17:05" in tongue("ru").moment(NOON, ZoneInfo("Asia/Tashkent"))


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=59), "0 min"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(minutes=65), "1 h 05 min"),
        (timedelta(hours=47, minutes=59), "47 h 59 min"),
        (timedelta(days=3), "3 d"),
        (timedelta(seconds=-5), "0 min"),
    ],
)
def test_lengths_of_time(length: timedelta, words: str) -> None:
    """Lengths of time are rounded down to what matters."""
    assert tongue("en").span(length) == words


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        ("", "en"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("en;q=0.5, kk;q=0.9", "kk"),
        ("de,fr", "en"),
        ("uz-Cyrl-UZ", "uz"),
        ("zh;q=0, tg", "tg"),
        ("ru;q=many", "en"),
        (";;;,=" * 500, "en"),
    ],
)
def test_what_the_browser_prefers(accepted: str, code: str) -> None:
    """Of the languages that there are, the browser's favourite is spoken."""
    assert preferred(accepted) == code


def test_an_unknown_language_is_english() -> None:
    """A code that there is not, a path for instance, speaks the language of the source."""
    assert tongue("../../etc").code == "en"
