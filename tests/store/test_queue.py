"""Claims about the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nii.errors import NiiError
from nii.inspection import Anomaly, Declaration, Inspection, Level
from nii.store import claims, decisions, inspections, queue, scans, settings, sites
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.decisions import Opinion, Verdict
from nii.store.inspections import Filed
from nii.store.queue import Query, QueueSettings, State, Why
from nii.store.users import User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROOT = Actor("root")
FileScan = Callable[..., Filed]
AddUser = Callable[..., User]


def _scored(score: float, **scan: Any) -> Callable[[Inspection], Inspection]:  # noqa: ANN401
    def change(inspection: Inspection) -> Inspection:
        regions = tuple(replace(region, score=score) for region in inspection.regions)
        return replace(inspection, regions=regions, scan=replace(inspection.scan, **scan))

    return change


def _numbers(store: Store, query: Query) -> list[int]:
    return [item.inspection_id for item in queue.page(store, query)]


@pytest.mark.slow
def test_pages_follow_level_risk_and_age(store: Store, file_scan: FileScan) -> None:
    """Pages of any length together give: level, then risk, then age, then number; each row once."""
    kinds = [(Level.LOOK, 0.5, 3), (Level.SEARCH, 0.5, 2), (Level.LOOK, 0.9, 1)]
    kinds += [(Level.LOOK, 0.5, 2), (Level.LOOK, 0.5, 3), (Level.CLEAR, 0.5, 0)]
    filed = [
        file_scan(str(number), level, _scored(score), NOON + timedelta(hours=hours))
        for number, (level, score, hours) in enumerate(kinds)
    ]
    order = [1, 2, 3, 0, 4, 5]
    expected = [filed[place].id for place in order]
    for limit in (1, 2, 4, 50):
        found: list[int] = []
        after = None
        while part := queue.page(store, Query(limit=limit, after=after)):
            found += [item.inspection_id for item in part]
            after = part[-1].cursor
        assert found == expected
    newest = sorted(expected, reverse=True)
    assert _numbers(store, Query(order="newest")) == newest
    first = queue.page(store, Query(order="newest", limit=2))
    assert _numbers(store, Query(order="newest", after=first[-1].cursor)) == newest[2:]


@pytest.mark.parametrize("after", ["", "x", "1_2_3", "1_a_2026-01-01T00:00:00+00:00_3", "1_1_2_1"])
def test_a_place_that_is_none_is_refused(store: Store, after: str) -> None:
    """A cursor that nobody gave out is named, not guessed."""
    with pytest.raises(NiiError, match="cursor"):
        queue.page(store, Query(after=after))


def test_a_row_shows_what_a_list_needs(store: Store, file_scan: FileScan) -> None:
    """Classes, papers, scanner, risk and times come with the row."""
    facts = {"scanner": "Lane 1", "container_numbers": ("CSQU3054383",)}
    filed = file_scan("one", Level.SEARCH, _scored(0.75, **facts))
    (item,) = queue.page(store, Query())
    assert item == queue.get(store, filed.id)
    assert (item.scanner, item.site, item.risk) == ("Lane 1", None, 0.75)
    assert item.classes == tuple(
        dict.fromkeys(region.class_name for region in filed.inspection.regions)
    )
    assert item.papers == (("container", "CSQU3054383"),)
    assert item.state is State.OPEN
    assert (item.waiting_since, item.filed_at) == (NOON, NOON)
    assert queue.get(store, 99) is None


@pytest.mark.slow
def test_every_filter_narrows_pages_and_counts(store: Store, file_scan: FileScan) -> None:
    """Site, scanner, class, document, time, state and level each leave what fits, no more."""
    facts = {"scanner": "Lane 1", "container_numbers": ("CSQU3054383",)}
    first = file_scan("one", Level.SEARCH, _scored(0.9, **facts)).id
    facts = {"scanner": "Lane 2", "container_numbers": ("CSQU9999999",)}
    second = file_scan("two", Level.CLEAR, _scored(0.9, **facts), NOON + timedelta(days=1)).id
    lane1, lane2 = sites.scanners(store)
    site = sites.add(store, "A", "A", ROOT, NOON)
    sites.assign(store, lane1.id, "Lane 1", site.id, ROOT, NOON)
    later = NOON + timedelta(hours=1)
    only_first = [
        Query(sites=(site.id,)),
        Query(site_id=site.id),
        Query(scanner_id=lane1.id),
        Query(class_name="firearm"),
        Query(document="csqu 305"),
        Query(document="CSQU3054383"),
        Query(until=later),
    ]
    for query in only_first:
        assert _numbers(store, query) == [first], query
        assert queue.counts(store, query) == {Level.CLEAR: 0, Level.LOOK: 0, Level.SEARCH: 1}
    assert _numbers(store, Query(level=Level.SEARCH)) == [first]
    assert queue.counts(store, Query(level=Level.SEARCH))[Level.CLEAR] == 1
    assert _numbers(store, Query(document="CSQU")) == [first, second]
    assert _numbers(store, Query(since=later)) == [second]
    assert _numbers(store, Query(scanner_id=lane2.id, since=later)) == [second]
    for query in (
        Query(sites=()),
        Query(document="X"),
        Query(document="CSQU3054383X"),
        Query(document="%"),
        Query(document="_SQU"),
        Query(class_name="' OR 1=1 --"),
        Query(state=State.DECIDED),
        Query(why=Why.SECOND),
        Query(group="experts"),
        Query(mine=1),
    ):
        assert _numbers(store, query) == []
    assert _numbers(store, Query(document="  ")) == [first, second]
    with pytest.raises(NiiError, match="control"):
        Query(document="\x00")


def test_decided_rows_leave_the_queue(store: Store, file_scan: FileScan) -> None:
    """A decision moves its row, and the row tells the verdict and the time."""
    filed = file_scan("one")
    decisions.add(store, filed.id, Opinion(Verdict.INSPECT, "A. Officer"), NOON)
    assert queue.page(store, Query()) == ()
    (item,) = queue.page(store, Query(state=State.DECIDED))
    assert (item.verdict, item.decided_at) == ("inspect", NOON)
    assert _numbers(store, Query(state=None)) == [filed.id]


def test_risk_without_regions_is_how_unusual_it_is(
    file_scan: FileScan, store: Store, example: Callable[..., Inspection]
) -> None:
    """A clear scan sorts by its anomaly score, in 0 to 1."""
    calm = replace(example("a" * 64, Level.CLEAR), anomaly=None, attention=())
    assert queue.risk(calm) == 0.0
    odd = replace(calm, anomaly=Anomaly(0.625, (1.0, 1.0), "scan"))
    assert queue.risk(odd) == 0.625
    searched = example("a" * 64, Level.SEARCH)
    assert queue.risk(searched) == max(region.score for region in searched.regions)
    del file_scan, store


def test_a_contradicted_declaration_stands_out(store: Store, file_scan: FileScan) -> None:
    """It goes before others of its level, and its row says so; the words in a text do not."""
    quoted = Declaration(1, False, 0.1, 'looks empty, "contradicted":true')  # noqa: FBT003
    calm = file_scan("calm", Level.CLEAR, lambda one: replace(one, declarations=(quoted,)))
    broken = Declaration(1, True, 0.97, "declared empty but is not")  # noqa: FBT003
    loud = file_scan("loud", Level.CLEAR, lambda one: replace(one, declarations=(broken,)))
    found = queue.page(store, Query())
    assert [item.inspection_id for item in found] == [loud.id, calm.id]
    assert [item.contradicted for item in found] == [True, False]
    assert found[0].risk == 0.97


@pytest.mark.slow
def test_draws_have_the_share_that_was_set(store: Store, file_scan: FileScan) -> None:
    """No, some or all clear scans are drawn, and no other ones; the same scan always alike."""
    rules = QueueSettings(audit_share=0.5, blind_share=0.5)
    settings.put(store, queue.SETTINGS, rules, ROOT, NOON)
    for number in range(40):
        file_scan(str(number), Level.CLEAR if number < 32 else Level.LOOK)
    items = queue.page(store, Query(limit=100))
    drawn = [item for item in items if item.sampled]
    assert {item.why for item in drawn} == {Why.AUDIT}
    assert {item.level for item in drawn} == {Level.CLEAR}
    assert 4 <= len(drawn) <= 28  # 32 draws of one half: outside once in 10^6
    assert 5 <= sum(item.blind for item in items) <= 35
    assert {item.sampled and item.blind for item in items} == {True, False}
    for share in (0.0, 1.0):
        rules = QueueSettings(audit_share=share, blind_share=share)
        settings.put(store, queue.SETTINGS, rules, ROOT, NOON)
        item = queue.get(store, file_scan(f"all {share}", Level.CLEAR).id)
        assert item is not None
        assert item.sampled == item.blind == bool(share)


def test_a_newer_model_takes_over(
    store: Store, file_scan: FileScan, add_user: AddUser, example: Callable[..., Inspection]
) -> None:
    """A second inspection of a scan replaces the first in the queue, unless somebody is at it."""

    def again(filed: Filed, model: str, level: Level) -> Filed:
        inspection = example(filed.scan_sha256, level)
        other = replace(inspection, model=replace(inspection.model, sha256=model * 64))
        return inspections.add(store, scans.of(store, filed.scan_sha256), other, NOON)

    first = file_scan("one", Level.LOOK)
    second = again(first, "2", Level.SEARCH)
    assert _numbers(store, Query()) == [second.id]
    assert _numbers(store, Query(state=State.SUPERSEDED)) == [first.id]
    claims.claim(store, second.id, add_user("aigul"), NOON)
    third = again(first, "3", Level.LOOK)
    assert _numbers(store, Query()) == [second.id, third.id]
    decisions.add(store, third.id, Opinion(Verdict.RELEASE, "A. Officer"), NOON)
    calmer, worse = again(first, "4", Level.LOOK), again(first, "5", Level.SEARCH)
    assert worse.id in _numbers(store, Query())
    assert calmer.id in _numbers(store, Query(state=State.DECIDED))
