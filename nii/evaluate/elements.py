"""Parts that pages are put together of: tables, sections, numbers; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from nii.evaluate.intervals import Interval, Proportion


def whole_page(title: str, body: Sequence[str]) -> str:
    """Return a page that loads nothing from anywhere and runs no script."""
    style = files("nii.evaluate").joinpath("page.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n"
        f"</head>\n<body>\n<main>\n{chr(10).join(body)}\n</main>\n</body>\n</html>\n"
    )


def number(value: float | None) -> str:
    """Return a number with three digits after the point, or a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def limits(interval: Interval | None) -> str:
    """Return an interval in words: ``0.812 to 0.934``."""
    return f"{interval.low:.3f} to {interval.high:.3f}" if interval else ""


def share(counted: Proportion, interval: Interval | None) -> str:
    """Return three cells: a share, its interval, and the counts behind it."""
    return (
        f'<td class="number">{number(counted.value)}</td><td class="plain">{limits(interval)}</td>'
        f'<td class="plain">{counted.successes} of {counted.trials}</td>'
    )


def decade_range(x: Iterable[float], least_high: float) -> tuple[float, float]:
    """Return whole powers of ten around the positive values, at least three decades."""
    positive = [float(value) for value in x if value > 0]
    high = least_high
    while positive and high < max(positive):
        high *= 10
    low = high / 1000
    while positive and low > min(positive):
        low /= 10
    return low, high


def table(head: Sequence[str], rows: Sequence[str]) -> str:
    """Return a table of rows that are ready cells; the titles are escaped."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{titles}</tr>{body}</table></div>'


def section(title: str, content: str, *, plain: bool = False) -> str:
    """Return a headed part of the page, on a card unless it is plain."""
    inner = content if plain else f'<section class="card">{content}</section>'
    return f"<h2>{escape(title)}</h2>\n{inner}"
