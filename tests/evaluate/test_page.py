"""Tests of the page."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from nii.bundle import Thresholds
from nii.evaluate import summary
from nii.evaluate.compare import Comparison, metric_differences, stratum_differences
from nii.evaluate.elements import limits, number
from nii.evaluate.examples import Gallery
from nii.evaluate.metrics import METRICS, Evidence
from nii.evaluate.page import comparison_page, page
from nii.evaluate.pixels import PixelTally
from nii.evaluate.summary import EvaluationResult, Failure

EVIL = "\"><script>alert('x')</script>&amp;<img src=x onerror=y>"
LIMITS = Thresholds(look={"firearm": 0.3}, search={"firearm": 0.7})


class Elements(HTMLParser):
    """Collect tags, attribute names and addresses of a page."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one tag."""
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href")]


def read(text: str) -> Elements:
    """Return what a browser would see in a page."""
    seen = Elements()
    seen.feed(text)
    return seen


def result_of(evidence: Evidence, text: str) -> EvaluationResult:
    """Return a result in which every free text is the same."""
    return EvaluationResult(
        model=text,
        bundle_sha256=text,
        data=text,
        data_sha256=text,
        provider={"used": [text]},
        counts=summary.counts_of(evidence, failures=1),
        estimates=summary.estimates(evidence, repeats=2),
        classes=summary.class_rows(evidence, repeats=2),
        strata=summary.stratum_rows(evidence),
        containers=summary.container_result(evidence, LIMITS.look, repeats=2),
        pixels=summary.pixel_result(PixelTally()),
        failures=(Failure(text, text),),
        warnings=(text,),
        settings={text: text},
    )


def gallery_of(evidence: Evidence, name: str) -> Gallery:
    """Return the worst cases, all in scans of one name."""
    gallery = Gallery(per_kind=3)
    for scan in evidence.scans:
        gallery.offer(replace(scan, name=name), LIMITS, lambda: np.full((400, 400), 90, np.uint8))
    return gallery


@pytest.mark.slow
def test_hostile_names_are_only_text(middling: Evidence) -> None:
    """A page full of hostile names has the same elements as one with harmless names."""
    evil = read(page(result_of(middling, EVIL), middling, gallery_of(middling, EVIL)))
    good = read(page(result_of(middling, "a"), middling, gallery_of(middling, "a")))
    assert evil.tags == good.tags
    assert "script" not in evil.tags
    assert not {name for name in evil.names if name.startswith("on")}


@pytest.mark.slow
def test_works_without_a_network(middling: Evidence) -> None:
    """The page names no address but its own pictures, and its policy forbids others."""
    text = page(result_of(middling, "a"), middling, gallery_of(middling, "a"))
    seen = read(text)
    assert seen.addresses
    assert all(one.startswith("data:image/jpeg;base64,") for one in seen.addresses)
    assert "http" not in text.replace("http-equiv", "")
    assert "default-src 'none'" in text


@pytest.mark.slow
def test_every_metric_of_an_applicable_group_is_shown(middling: Evidence) -> None:
    """The tables hold all metrics, eight pictures and one gallery of each kind and group."""
    text = page(result_of(middling, "a"), middling, gallery_of(middling, "a"))
    assert all(metric.label in text for metric in METRICS.values())
    assert text.count("<svg") == 8
    assert text.count('class="gallery"') == 4


def test_sets_without_threats_say_so(containers_only: Evidence) -> None:
    """Where only containers have labels, the page says that threats are not applicable."""
    text = page(result_of(containers_only, "a"), containers_only, Gallery())
    assert "not applicable: no threat class is labelled" in text
    assert text.count("<svg") == 1


def test_empty_set_gives_a_page(without_truth: Evidence) -> None:
    """Without any truth there are no curves, and still a page."""
    text = page(result_of(without_truth, "a"), without_truth, Gallery())
    assert "<svg" not in text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0, "0.000"), (1.0, "1.000")])
def test_what_is_not_defined_is_a_dash(value: float | None, text: str) -> None:
    """An undefined number is never shown as 0 or 1."""
    assert number(value) == text
    assert limits(None) == ""


def test_comparisons_escape_their_names(middling: Evidence, perfect: Evidence) -> None:
    """A comparison of hostile names has the elements of a harmless one, and links its reports."""
    metrics = metric_differences(perfect, middling, 0, 3)
    rows = stratum_differences(perfect, middling, 0, 3)
    pages = [
        read(
            comparison_page(Comparison((name, ""), (name, ""), name, "", 30, 0, metrics, rows, {}))
        )
        for name in (EVIL, "a")
    ]
    assert pages[0].tags == pages[1].tags
    assert "script" not in pages[0].tags
    assert pages[0].addresses == ["index.html", "against/index.html"]
