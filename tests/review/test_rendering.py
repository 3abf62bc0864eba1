"""Claims about how pages are put together."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from nii import taxonomy
from nii.review import rendering
from nii.review.language import CODES


@pytest.mark.slow
@pytest.mark.parametrize("code", CODES)
def test_every_page_speaks_every_language(client: TestClient, code: str) -> None:
    """Pages come in the language that was chosen, and say which it is."""
    client.post("/language", data={"language": code, "back": "/"})
    for path in ("/", "/account", "/password", "/nowhere"):
        assert f'<html lang="{code}">' in client.get(path).text


def test_colours_differ() -> None:
    """Each class has a colour that a browser understands; an unknown class is grey."""
    colours = {rendering.colour(row.name) for row in taxonomy.classes()}
    assert len(colours) == len(taxonomy.classes())
    assert rendering.colour("of an older taxonomy") == "#dcdcdc"


def test_a_missing_value_is_an_error() -> None:
    """A template that asks for what it was not given fails, instead of showing a gap."""
    from jinja2 import UndefinedError

    page = rendering._environment("en").from_string("{{ nothing }}")
    with pytest.raises(UndefinedError):
        page.render()
