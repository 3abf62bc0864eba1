"""Claims about answers that say what is wrong."""

from __future__ import annotations

import json

from nii.review.problems import MEDIA, problem


def test_the_parts_of_the_standard() -> None:
    """An answer has type, title, status and detail, and the media type for it."""
    answer = problem(404, "No such scan.", {"X-Extra": "1"})
    assert json.loads(bytes(answer.body)) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "No such scan.",
    }
    assert answer.status_code == 404
    assert answer.headers["content-type"] == MEDIA
    assert answer.headers["x-extra"] == "1"
    assert json.loads(bytes(problem(403).body))["detail"] == "Forbidden"
