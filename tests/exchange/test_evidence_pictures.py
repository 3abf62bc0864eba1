"""Tests of the pictures of an evidence package."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from nii.exchange import evidence_pictures as pictures
from nii.exchange.evidence_pictures import Outline
from nii.inspection import Level
from nii.scan import Grey, Scan, StoredScan


def test_air_is_white_and_dense_cargo_black(rng: np.random.Generator) -> None:
    """The grey of a transmission falls with attenuation, from 255 for air to 0."""
    ramp = np.geomspace(1, 1e-4, 400, dtype=np.float32)
    image = np.broadcast_to(ramp, (1, 50, 400)).copy()
    grey = pictures.grey_picture(Scan(image))
    assert (grey[0, 0], grey[0, -1]) == (255, 0)
    assert np.all(np.diff(grey[0].astype(int)) <= 0)
    assert rng is not None


def test_display_pictures_are_shown_as_they_are(rng: np.random.Generator) -> None:
    """A picture made for the eye keeps its greys."""
    levels = rng.integers(0, 256, (1, 40, 90))
    scan = Scan((levels / 255).astype(np.float32), grey=Grey.DISPLAY)
    assert np.array_equal(pictures.grey_picture(scan), levels[0])


def test_strips_give_the_picture_of_the_whole(rng: np.random.Generator) -> None:
    """Stored levels and numbers give the same picture, and a wide one is shrunk without seams."""
    levels = rng.integers(0, 65536, (300, 500), dtype=np.uint16)
    stored = StoredScan((levels,), open_beam=65535)
    whole = pictures.grey_picture(stored.as_numbers())
    assert np.array_equal(pictures.grey_picture(stored), whole)
    small = pictures.grey_picture(stored, widest=250)
    assert small.shape == (150, 250)
    once = cv2.resize(whole, (250, 150), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - once).max() <= 1


@pytest.mark.parametrize("level", [Level.SEARCH, Level.LOOK, "officer"])
def test_outlines_leave_what_they_mark_visible(level: Level | str) -> None:
    """Nothing inside a box is painted over, something around it is, and the text is legible."""
    grey = np.full((200, 600), 90, np.uint8)
    outline = Outline((200.0, 80.0, 260.0, 120.0), "1 firearm 0.91", level)  # type: ignore[arg-type]
    image = pictures.with_outlines(grey, [outline], 1.0)
    assert (image[80:120, 200:260] == 90).all()
    assert (image[70:130, 190:270] != 90).any()
    assert (image[:80] != 90).sum() > 300


def test_outlines_are_scaled_with_the_picture() -> None:
    """A box in scan pixels lies at its place in a picture of half the size."""
    grey = np.full((200, 600), 90, np.uint8)
    box = (800.0, 200.0, 1000.0, 300.0)
    image = pictures.with_outlines(grey, [Outline(box, "x", Level.LOOK)], 0.5)
    painted = np.argwhere((image != 90).any(2))
    assert painted[:, 1].min() >= 380
    assert painted[:, 1].max() <= 520


def test_png_and_preview(rng: np.random.Generator) -> None:
    """A PNG gives the picture back, and a preview is at most as wide as asked."""
    picture = rng.integers(0, 256, (50, 3000, 3), dtype=np.uint8)
    read = cv2.imdecode(np.frombuffer(pictures.to_png(picture), np.uint8), cv2.IMREAD_COLOR)
    assert read is not None
    assert np.array_equal(read, picture)
    assert pictures.preview(picture).shape == (27, 1600, 3)
    assert pictures.preview(picture[:, :100]).shape == (50, 100, 3)


def test_unknown_classes_keep_their_name() -> None:
    """A class of the taxonomy is said in words, any other by its name."""
    assert pictures.known_class("brick").startswith("package")
    assert pictures.known_class("teapot") == "teapot"
