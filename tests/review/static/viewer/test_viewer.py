"""Claims about the tools of the viewer, used as an officer does: by mouse, finger and keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nii.physics.colour_table import steel_mm

Desk = Any
Open = Callable[..., Any]
on = pytest.mark.parametrize
noise = on("desk", ["noise"], indirect=True)
steps = on("desk", ["steps"], indirect=True)
goods = on("desk", ["goods"], indirect=True)


def drag(
    desk: Desk, start: tuple[float, float], end: tuple[float, float], button: str = "left"
) -> None:
    """Drag between two places of the page."""
    desk.page.mouse.move(*start)
    desk.page.mouse.down(button=button)
    desk.page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    desk.page.mouse.move(*end)
    desk.page.mouse.up(button=button)
    desk.page.evaluate("() => v.settled()")


@noise
def test_dragging_moves_the_scan(desk: Desk) -> None:
    """What was under the pointer stays under it while the scan is dragged."""
    desk.place(600, 300, 2)
    start = desk.screen(600, 300)
    drag(desk, start, (start[0] + 60, start[1] - 40))
    moved = desk.screen(600, 300)
    assert moved == pytest.approx((start[0] + 60, start[1] - 40), abs=1)


@noise
def test_the_wheel_zooms_at_the_pointer(desk: Desk) -> None:
    """The place under the pointer stays there, in and out, and the scan cannot be lost."""
    place = desk.screen(300, 200)
    desk.page.mouse.move(*place)
    scale = desk.page.evaluate("() => v.view.scale")
    desk.page.mouse.wheel(0, -600)
    desk.page.wait_for_timeout(100)
    assert desk.page.evaluate("() => v.view.scale") > 2 * scale
    assert desk.screen(300, 200) == pytest.approx(place, abs=1.5)
    desk.page.mouse.wheel(0, 60_000)
    desk.page.wait_for_timeout(100)
    assert 0 < desk.page.evaluate("() => v.view.scale") < scale


@noise
def test_two_fingers_zoom(desk: Desk) -> None:
    """Spreading two fingers to twice their distance doubles the size."""
    x, y = desk.screen(550, 300)
    scale = desk.page.evaluate("() => v.view.scale")
    session = desk.page.context.new_cdp_session(desk.page)

    def touch(kind: str, apart: float) -> None:
        points = [{"x": x - apart, "y": y, "id": 1}, {"x": x + apart, "y": y, "id": 2}]
        sent = {"type": kind, "touchPoints": [] if kind == "touchEnd" else points}
        session.send("Input.dispatchTouchEvent", sent)

    touch("touchStart", 50)
    for apart in (60, 80, 100):
        touch("touchMove", apart)
    touch("touchEnd", 100)
    session.detach()
    desk.page.evaluate("() => v.settled()")
    assert desk.page.evaluate("() => v.view.scale") == pytest.approx(2 * scale, rel=0.05)
    assert desk.screen(550, 300) == pytest.approx((x, y), abs=3)


@noise
def test_right_drag_changes_contrast(desk: Desk) -> None:
    """Across narrows or widens the window, down darkens it; the page is told once, at the end."""
    desk.look()
    start = desk.screen(550, 300)
    drag(desk, start, (start[0] - 150, start[1]), "right")
    low, high = (desk.page.evaluate(f"() => v.look.{side}") for side in ("low", "high"))
    assert 0 < low < high < 65535
    assert (low + high) / 2 == pytest.approx(65535 / 2, abs=2)
    assert [told for told in desk.events("toggle") if told["tool"] == "window"] == [
        {"tool": "window", "value": [round(low), round(high)]}
    ]


@noise
def test_sliders_and_presets(desk: Desk) -> None:
    """A slider sets what it says; a preset is named while it holds and is 'custom' after."""
    desk.page.get_by_label("Contrast", exact=True).select_option("deep")
    assert desk.page.evaluate("() => v.presetName()") == "deep"
    slider = desk.page.get_by_label("White", exact=True)
    before = desk.page.evaluate("() => v.look.high")
    slider.focus()
    desk.page.keyboard.press("ArrowLeft")
    desk.page.evaluate("() => v.settled()")
    assert desk.page.evaluate("() => v.look.high") < before
    assert desk.page.get_by_label("Contrast", exact=True).input_value() == "custom"
    assert desk.events("toggle")[-1]["tool"] == "window"


@goods
def test_contrast_fits_what_is_seen(desk: Desk) -> None:
    """One key spreads the greys of what is seen over black to white."""
    desk.run("v.select(null); v.view.show([200, 200, 300, 300], 1); v.refill()")
    narrow = np.ptp(np.percentile(desk.pixels()[..., 0], (2, 98)))
    desk.page.keyboard.press("w")
    assert np.ptp(np.percentile(desk.pixels()[..., 0], (2, 98))) > max(150, narrow)


# fmt: off
KEYS = [
    ("t", "look.low"), ("i", "look.inverse"), ("s", "look.dense"), ("z", "look.smooth"),
    ("u", "look.colour"), ("h", "look.mark"), ("r", "settings.regions"),
    ("v", "settings.navigator"),
    ("m", "settings.magnifier"), ("k", "view.mirror"), ("e", "look.edges"), ("c", "look.local"),
    ("g", "look.energy"), ("o", "look.strip"), ("j", "look.strip"), ("y", "tool"),
    ("b", "tool"), ("l", "look.curve"), ("]", "view.turn"), ("[", "view.turn"),
    ("+", "view.scale"), ("-", "view.scale"), ("x", "view.scale"),
]
# fmt: on


@goods
def test_every_key_does_what_its_button_does(desk: Desk) -> None:
    """Each key changes its setting, the button shows it, the page is told, and ⌫ puts it back."""
    for key, setting in KEYS:
        before = desk.page.evaluate(f"() => v.{setting}")
        desk.page.keyboard.press(key)
        assert desk.page.evaluate(f"() => v.{setting}") != before, key
        desk.run("v.cancel();")
    told = {event["tool"] for event in desk.events("toggle")}
    assert {"inverse", "colour", "strip", "regions", "magnifier", "turn", "curve"} <= told
    lit = desk.page.evaluate(
        "() => [...document.querySelectorAll('[aria-pressed=true]')].map((b) => b.dataset.tool)"
    )
    assert {"inverse", "colour", "mark", "mirror", "edges", "local", "energy"} <= set(lit)
    desk.page.keyboard.press("Backspace")
    desk.page.evaluate("() => v.settled()")
    state = desk.page.evaluate("() => v.state()")
    assert state["look"]["inverse"] is False
    assert state["look"]["edges"] == 0
    assert state["view"]["turn"] == 0
    assert state["view"]["mirror"] is False


@noise
def test_keys_are_left_alone_in_fields(desk: Desk) -> None:
    """Who types into a form changes no picture, and Ctrl is the browser's."""
    before = desk.page.evaluate("() => v.state()")
    desk.page.locator("#field").focus()
    desk.page.keyboard.type("iruz0")
    desk.page.locator("#field").blur()
    desk.page.keyboard.press("Control+i")
    assert desk.page.evaluate("() => v.state()") == before
    assert desk.page.locator("#field").input_value() == "iruz0"
    desk.page.locator("#field").fill("")


@noise
def test_help_lists_every_key(desk: Desk) -> None:
    """'?' opens the keys in words; Esc closes them and the picture has the focus again."""
    desk.page.keyboard.press("?")
    dialog = desk.page.get_by_role("dialog")
    text = dialog.inner_text()
    for words in ("Inverse", "Colour by material", "Measure", "Hide all outlines while held"):
        assert words in text
    desk.page.keyboard.press("Escape")
    desk.page.locator(".nv-help").wait_for(state="detached")
    assert desk.page.evaluate("() => document.activeElement.className") == "nv-stage"


@noise
def test_regions_lie_where_the_model_says(desk: Desk) -> None:
    """An outline leaves a gap around its box, is never filled, and says what it is in words."""
    desk.run("v.fit()")
    edge = desk.page.locator(".nv-region .nv-edge").first
    place = edge.bounding_box()
    left, top = desk.screen(200, 30)
    right, bottom = desk.screen(230, 45)
    assert place is not None
    assert place["x"] <= left - 3
    assert place["y"] <= top - 3
    assert place["x"] + place["width"] >= right + 3
    assert place["y"] + place["height"] >= bottom + 3
    assert place["width"] < right - left + 14
    fills = desk.page.evaluate(
        "() => [...document.querySelectorAll('.nv-overlay :is(.nv-edge, .nv-rim, .nv-contour)')]"
        ".map((e) => getComputedStyle(e).fill)"
    )
    assert set(fills) == {"none"}
    name = desk.page.locator(".nv-region").first.get_attribute("aria-label")
    assert name == (
        "firearm. search. very likely (0.91). container 1, 2.0 m from its left end, "
        "upper third. weapons"
    )


@noise
def test_regions_can_be_put_away(desk: Desk) -> None:
    """'r' hides and shows, a held space bar lets one look under, and blind means none at all."""
    shown = desk.page.locator(".nv-region")
    assert shown.count() == 2
    desk.page.keyboard.press("r")
    desk.page.evaluate("() => v.settled()")
    assert shown.count() == 0
    desk.page.keyboard.press("r")
    desk.page.keyboard.down(" ")
    desk.page.evaluate("() => v.settled()")
    assert shown.count() == 0
    assert desk.page.locator(".nv-own").count() == 0
    desk.page.keyboard.up(" ")
    desk.page.evaluate("() => v.settled()")
    assert shown.count() == 2
    desk.run("v.setBlind(true)")
    assert shown.count() == 0
    desk.page.keyboard.press("1")
    assert desk.page.evaluate("() => v.selected") is None
    desk.run("v.setBlind(false)")
    tools = [event["tool"] for event in desk.events("toggle")]
    assert tools == ["regions", "regions", "peek", "peek"]


@noise
def test_choosing_a_region(desk: Desk) -> None:
    """A digit brings a region into the middle with its words; a click chooses the one under it."""
    desk.page.keyboard.press("2")
    desk.page.evaluate("() => v.settled()")
    x0, y0, x1, y1 = desk.page.evaluate("() => v.view.shown()")
    assert x0 < 300
    assert x1 > 340
    assert y0 < 60
    assert y1 > 85
    card = desk.page.locator(".nv-card").inner_text()
    assert "package or brick" in card
    assert "lower third" in card
    desk.run("v.fit()")
    desk.page.mouse.click(*desk.screen(215, 38))
    assert desk.events("select")[-1] == {"region": 1}
    desk.page.mouse.click(*desk.screen(900, 500))
    assert desk.events("select")[-1] == {"region": None}
    assert desk.page.locator(".nv-card").count() == 0


@noise
def test_measuring_in_centimetres(desk: Desk) -> None:
    """A line of 200 by 100 pixels of 5 mm is 111.8 cm; Esc puts tool, then line, away."""
    desk.run("v.fit(); v.actualSize()")
    desk.page.keyboard.press("y")
    drag(desk, desk.screen(450, 250), desk.screen(650, 350))
    assert desk.events("toggle")[-1] == {"tool": "measure", "value": "111.8 cm"}
    assert "111.8 cm" in desk.page.locator(".nv-measure").text_content()
    desk.page.keyboard.press("Escape")
    assert desk.page.evaluate("() => v.tool") == "pan"
    desk.page.keyboard.press("Escape")
    desk.page.evaluate("() => v.settled()")
    assert desk.page.locator(".nv-measure").count() == 0


@noise
def test_drawing_a_box_with_a_remark(desk: Desk) -> None:
    """A box is drawn, named and told to the page in scan pixels; Esc drops it untold."""
    desk.run("v.fit(); v.actualSize()")
    for key in ("Escape", "Enter"):
        desk.page.keyboard.press("b")
        drag(desk, desk.screen(600, 200), desk.screen(660, 250))
        desk.page.keyboard.type("hidden <i>floor</i>")
        desk.page.keyboard.press(key)
        if key == "Escape":
            assert not desk.events("box")
            desk.run("v.use('pan')")
    told = desk.events("box")
    assert len(told) == 1
    assert told[0]["remark"] == "hidden <i>floor</i>"
    assert told[0]["box_xyxy"] == pytest.approx([600, 200, 660, 250], abs=1)
    desk.page.evaluate("() => v.settled()")
    assert "hidden <i>floor</i>" in desk.page.locator(".nv-own").last.text_content()
    assert not desk.problems


@noise
def test_an_own_box_can_be_withdrawn(desk: Desk) -> None:
    """Pressing the words of a kept box offers to withdraw it, which the page is told."""
    desk.run("v.fit()")
    desk.page.locator(".nv-own .nv-press").first.click()
    desk.page.get_by_role("button", name="Withdraw").click()
    assert desk.events("unbox") == [{"id": 5}]


@noise
def test_readings_are_those_of_the_pixel(desk: Desk) -> None:
    """Under the pointer stand place, both raw levels, transmission and steel of that very pixel."""
    desk.run("v.fit(); v.actualSize(); v.set('dense', false)")
    for x, y in ((400, 250), (601, 333)):
        desk.page.mouse.move(*desk.screen(x + 0.5, y + 0.5))
        desk.page.wait_for_timeout(60)
        read = desk.page.locator(".nv-foot").inner_text().replace("\n", " ")
        high, low = int(desk.levels(0)[y, x]), int(desk.levels(1)[y, x])
        assert f"{x}, {y}" in read
        assert f"{high} / {low}" in read
        assert f"{100 * high / 65535:.3g}"[:3] in read
        known = steel_mm(9.0)
        steel = np.interp(-np.log(high / 65535), known["attenuation"], known["mm"])
        text = f"{steel:.1f} mm" if steel < 20 else f"{steel:.0f} mm"
        assert text in read


@goods
def test_navigator_shows_all_and_moves(desk: Desk) -> None:
    """Zoomed in, a small whole scan lies in the corner; a click in it goes there."""
    desk.place(200, 100, 3)
    frame = desk.page.locator(".nv-navigator")
    place = frame.bounding_box()
    assert place is not None
    desk.page.mouse.click(place["x"] + 0.75 * place["width"], place["y"] + 0.5 * place["height"])
    desk.page.evaluate("() => v.settled()")
    assert desk.page.evaluate("() => [v.view.cx, v.view.cy]") == pytest.approx([600, 230], abs=12)
    desk.run("v.fit()")
    assert not frame.is_visible()


@steps
def test_the_magnifier_enlarges_what_is_under_it(desk: Desk) -> None:
    """Inside the lens lies the scan around the pointer, four times as large; outside, no change."""
    desk.run("v.fit()")
    desk.look(smooth=False)
    plain = desk.pixels()
    desk.page.keyboard.press("m")
    x, y = desk.screen(500, 150)
    desk.page.mouse.move(x, y)
    lens = desk.pixels()
    box = desk.page.evaluate("() => v.canvas.getBoundingClientRect()")
    column, row = int(x - box["left"]), int(y - box["top"])
    inside = lens[row, column - 110 : column + 110, 0].astype(int)
    changes = np.flatnonzero(np.diff(inside))
    changes = changes[np.diff(changes, prepend=-9) > 2]  # an edge inside a pixel changes twice
    scale = desk.page.evaluate("() => v.view.scale")
    assert np.diff(changes) == pytest.approx(4 * scale * 16, abs=1.01)
    outside = np.r_[0 : column - 130, column + 130 : plain.shape[1]]
    np.testing.assert_array_equal(lens[:, outside], plain[:, outside])


@goods
def test_side_by_side_with_another_scan(desk: Desk) -> None:
    """Both scans show the same place at the same size, move together, and one can be shifted."""
    desk.page.keyboard.press("a")
    for _ in range(100):
        if desk.page.evaluate("() => Boolean(v.other)"):
            break
        desk.page.wait_for_timeout(30)
    desk.page.evaluate("() => v.settled()")
    assert desk.page.locator(".nv-caption").inner_text() == "steps"
    desk.run("v.view.scale = 1; v.view.cx = 400; v.refill()")
    main, other = desk.page.evaluate(
        "() => [v.view, v.other.view].map((w) => [w.scale, w.cx, w.cy])"
    )
    assert main[0] * 460 == pytest.approx(other[0] * 300)
    desk.run("v.pan(-30, 0)")
    moved = desk.page.evaluate("() => v.other.view.cx")
    assert (moved - other[1]) * other[0] == pytest.approx(30, abs=0.01)
    desk.run("v.shiftOther(15, 0)")
    assert desk.page.evaluate("() => v.view.cx") == pytest.approx(430)
    assert desk.page.evaluate("() => v.other.view.cx") == pytest.approx(moved - 15 / other[0])
    pane = desk.page.evaluate("() => v.other.view.pane")
    seen = desk.pixels()[pane["y"] : pane["y"] + pane["h"], pane["x"] : pane["x"] + pane["w"]]
    assert len(np.unique(seen)) > 8
    assert desk.events("toggle")[-1]["tool"] == "compare"
    desk.run("await v.compare(null)")
    assert desk.page.locator(".nv-caption").is_hidden()


def test_a_dense_screen_gets_all_its_pixels(open_page: Open) -> None:
    """With two device pixels a CSS pixel the canvas has twice as many each way."""
    desk = open_page("noise", device_scale_factor=2)
    width, height, stage = desk.page.evaluate(
        "() => [v.canvas.width, v.canvas.height, [v.stage.clientWidth, v.stage.clientHeight]]"
    )
    assert [width, height] == [2 * side for side in stage]
    desk.run("v.fit(); v.actualSize()")
    desk.look()
    x, y = (round(edge) for edge in desk.page.evaluate("() => v.view.toScreen(300, 200)"))
    assert desk.pixels()[y, x, 0] == round(int(desk.levels()[200, 300]) * 255 / 65535)


def test_a_screen_reader_finds_its_way(open_page: Open) -> None:
    """The accessibility checker finds nothing serious in the viewer, its help or its card."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    desk = open_page("noise", bypass_csp=True)
    desk.run("v.select(1)")
    for keys in ((), ("?",)):
        for key in keys:
            desk.page.keyboard.press(key)
        found = axe.Axe().run(desk.page).response["violations"]
        assert not [rule["id"] for rule in found if rule["impact"] in {"serious", "critical"}]
