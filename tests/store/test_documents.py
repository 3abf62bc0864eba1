"""Claims about documents and check digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nii.errors import NiiError
from nii.inspection import Inspection, Level
from nii.store import audit, documents
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.documents import Kind, Paper
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
FileScan = Callable[..., Filed]


def test_the_container_number_of_the_standard_fits() -> None:
    """The example of ISO 6346 has the right check digit."""
    assert documents.container_fits("CSQU3054383")


@pytest.mark.parametrize("number", ["21-81-2471217-3", "51-80-0843001-0", "218124712173"])
def test_published_wagon_numbers_fit(number: str) -> None:
    """The examples of the article "UIC wagon numbers" of Wikipedia have the right check digit."""
    assert documents.wagon_fits(number)


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3), st.integers(0, 999_999))
def test_one_check_digit_fits(owner: str, serial: int) -> None:
    """Of the ten check digits, exactly one fits a container number."""
    numbers = [f"{owner}U{serial:06d}{digit}" for digit in range(10)]
    assert sum(map(documents.container_fits, numbers)) == 1


@given(st.sampled_from([7, 11]), st.data())
def test_every_misread_digit_of_a_wagon_shows(length: int, data: st.DataObject) -> None:
    """A wagon number in which one digit was misread never fits."""
    digits = data.draw(st.text("0123456789", min_size=length, max_size=length))
    (good,) = (digits + last for last in "0123456789" if documents.wagon_fits(digits + last))
    place = data.draw(st.integers(0, length))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != good[place]]))
    assert not documents.wagon_fits(good[:place] + other + good[place + 1 :])


@pytest.mark.parametrize(
    "number", ["", "CSQU305438", "CSQU30543833", "CSQX3054383", "1SQU3054383", "CSQU305438³"]
)
def test_other_texts_are_no_container_number(number: str) -> None:
    """A number of another form does not fit."""
    assert not documents.container_fits(number)


def test_numbers_of_a_scan_are_linked(store: Store, file_scan: FileScan) -> None:
    """Container numbers that come with a scan are linked, normal in form, good or not, once."""
    numbers = ("csqu 305438 3", "CSQU3054383", "CSQU3054384", " ", "\x00")

    def change(inspection: Inspection) -> Inspection:
        return replace(inspection, scan=replace(inspection.scan, container_numbers=numbers))

    filed = file_scan("one", change=change)
    found = documents.of_scan(store, filed.scan_sha256)
    assert [(each.value, each.check_digit_fits) for each in found] == [
        ("CSQU3054383", True),
        ("CSQU3054384", False),
    ]
    assert {each.linked_by for each in found} == {"scan"}
    assert audit.verify(store).intact


def test_more_can_be_linked(store: Store, file_scan: FileScan) -> None:
    """An officer links papers of every kind; linking again changes nothing."""
    filed = file_scan("one")
    by = Actor("A. Officer", None)
    for kind in Kind:
        linked = documents.link(store, filed.scan_sha256, Paper(kind, " a b "), by, NOON)
        assert (linked.kind, linked.value) == (kind, "AB")
        assert (linked.check_digit_fits is None) == (kind not in (Kind.CONTAINER, Kind.WAGON))
    before = audit.head(store)
    documents.link(store, filed.scan_sha256, Paper(Kind.PLATE, "AB"), by, NOON)
    assert audit.head(store) == before
    assert audit.verify(store).intact
    with pytest.raises(NiiError, match="no such scan"):
        documents.link(store, "0" * 64, Paper(Kind.PLATE, "AB"), by, NOON)


@pytest.mark.parametrize("value", ["", "  ", "x" * 129, "A\x00B", "\ud800"])
def test_unreadable_papers_are_refused(value: str) -> None:
    """A reference is there, short enough and printable."""
    with pytest.raises(NiiError):
        Paper(Kind.PLATE, value)


@pytest.mark.slow
def test_earlier_passages_share_a_number(store: Store, file_scan: FileScan) -> None:
    """Other scans of the same container are found, newest first; of the same goods, not."""

    def carries(*numbers: str) -> Callable[[Inspection], Inspection]:
        def change(inspection: Inspection) -> Inspection:
            return replace(inspection, scan=replace(inspection.scan, container_numbers=numbers))

        return change

    first = file_scan("one", Level.CLEAR, carries("CSQU3054383"))
    second = file_scan("two", Level.CLEAR, carries("CSQU3054383", "MSKU6011672"))
    third = file_scan("three", Level.CLEAR, carries("MSKU6011672"))
    for filed in (first, third):
        goods = Paper(Kind.GOODS, "847130")
        documents.link(store, filed.scan_sha256, goods, Actor("customs system"), NOON)
    assert documents.passages(store, second.scan_sha256) == (third.id, first.id)
    assert documents.passages(store, first.scan_sha256) == (second.id,)
    assert documents.passages(store, "0" * 64) == ()
