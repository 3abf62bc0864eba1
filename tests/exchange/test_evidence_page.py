"""Tests of the report and the README of an evidence package."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nii.exchange import evidence_page
from nii.exchange.evidence_page import Facts
from nii.exchange.evidence_records import gather, ids_of

if TYPE_CHECKING:
    from tests.exchange.conftest import Desk

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOSTILE = '<img src=x onerror=alert(1)> & "quoted" \''


def page_of(desk: Desk, signer: str | None = None, text: str = HOSTILE) -> str:
    """Return the report of a scan about which everything was said with this text."""
    filed = desk.scan()
    desk.decide(filed, reason=text, officer=text, reason_code="dense", seconds=12.34, blind=True)
    number = desk.mark(filed, "rejected", 2, remark=text)
    desk.mark(filed, "withdrawn", withdraws=number, officer=text)
    desk.examine(filed, found=True, remark=text, quantity=text, class_name="firearm")
    desk.document(filed, "container", "CSQU3054383")
    dossier = gather(desk.store, *ids_of(desk.store, filed.id))
    return evidence_page.page(dossier, Facts(NOON.isoformat(), text, text, signer, b"png"))


def test_every_text_is_escaped(desk: Desk) -> None:
    """Whatever officers wrote shows as text and does nothing."""
    page = page_of(desk)
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt; &amp; &quot;quoted&quot; &#x27;") >= 8


def test_the_report_tells_everything(desk: Desk) -> None:
    """Decisions, marks, what was withdrawn, outcomes, documents and the model are there."""
    page = page_of(desk, text="plain words")
    for text in (
        "inspect",
        "dense",
        "12.3",
        "new, blind",
        "rejected",
        "withdraws mark 1",
        "something",
        "firearm",
        "CSQU3054383",
        "test-model 1",
        "package or brick (narcotics, explosives)",
        "fits",
        evidence_page.DIGEST_RULE[:40],
    ):
        assert text in page, text


@pytest.mark.parametrize("signer", [None, "ab" * 32])
def test_the_seal(desk: Desk, signer: str | None) -> None:
    """Either the key is named, or UNSIGNED is said; never both, in report and README alike."""
    page, readme = page_of(desk, signer), evidence_page.readme(signed=signer is not None)
    for text in (page, readme):
        assert ("UNSIGNED" in text) == (signer is None)
    assert (signer or "UNSIGNED") in page
