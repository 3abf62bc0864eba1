"""Tests of the numbers for programs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from nii.review import numbers_api, schema
from nii.review.numbers import GROUPINGS, SHARE_NAMES
from nii.store.inspections import Filed
from nii.store.users import Role

Browse = Callable[..., TestClient]
PATH = "/api/v1/numbers"


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_the_answer_fits_its_description(
    browse: Browse, file_scan: Callable[..., Filed], grouping: str
) -> None:
    """What is sent is what the OpenAPI document describes, with the counts of the store."""
    file_scan()
    answer = browse("carla", Role.SUPERVISOR).get(PATH, params={"by": grouping})
    assert answer.status_code == 200
    found = answer.json()
    assert schema.problem(found, numbers_api._ANSWER) == ""
    assert (found["total"]["scans"], found["total"]["alarms"]) == (1, 1)
    assert found["total"]["alarm_rate"]["of"] == 1
    assert set(SHARE_NAMES) <= found["total"].keys()


@pytest.mark.parametrize(
    "query",
    [
        {"by": "teapot"},
        {"class": "teapot"},
        {"to": "9999-12-31"},
        {"from": "2026-02-30"},
        {"from": "2026-01-02", "to": "2026-01-01"},
        {"model": "x"},
        {"teapot": "1"},
    ],
)
def test_what_cannot_be_asked_is_told(browse: Browse, query: dict[str, str]) -> None:
    """A parameter that there is not is 400."""
    assert browse("carla", Role.SUPERVISOR).get(PATH, params=query).status_code == 400


def test_it_needs_the_right(browse: Browse) -> None:
    """An administrator gets no numbers here either."""
    assert browse("admin", Role.ADMINISTRATOR).get(PATH).status_code == 403
