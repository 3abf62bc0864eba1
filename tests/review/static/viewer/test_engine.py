"""Claims about what is seen: pixels read back from the graphics, against numpy."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from nii.physics import colour_table
from nii.physics.colour_table import COLUMNS, DEEPEST, ROWS

Desk = Any
HALF_TIES = 0.002
"""Share of pixels that may differ by one grey, where a logarithm ends on a half."""

on = pytest.mark.parametrize
ramp = on("desk", ["ramp"], indirect=True)
noise = on("desk", ["noise"], indirect=True)
goods = on("desk", ["goods"], indirect=True)


def windowed(levels: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return greys of a linear window, halves rounded up, in whole numbers."""
    part = np.clip(levels.astype(np.int64) - low, 0, high - low)
    return np.asarray((510 * part + (high - low)) // (2 * (high - low)))


def toned(levels: np.ndarray, low: int, high: int, curve: str) -> np.ndarray:
    """Return the fraction of white that a logarithmic or balanced window gives."""
    depth = np.log(high / max(low, 0.5))
    share = np.clip(np.log(high / np.maximum(levels.astype(float), 0.5)) / depth, 0, 1)
    return np.asarray(1 - share if curve == "log" else 1 - 0.5 * (share + np.sqrt(share)))


def rounded(tone: np.ndarray) -> np.ndarray:
    """Return greys of a fraction of white, halves rounded up."""
    return np.floor(tone * 255 + 0.5)


def check_close(seen: np.ndarray, expected: np.ndarray) -> None:
    """Require equality, but for few pixels that are one grey off."""
    difference = np.abs(seen.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= HALF_TIES


@ramp
@on("window", [(0, 65535), (20_000, 20_255), (30_000, 30_007), (65_280, 65_535), (1, 511)])
def test_every_level_is_shown_exactly(desk: Desk, window: tuple[int, int]) -> None:
    """On a ramp of all 16-bit levels every pixel is the windowed level, to the last."""
    low, high = window
    desk.at_actual_size()
    desk.look(low=low, high=high)
    np.testing.assert_array_equal(desk.grey(), windowed(desk.levels(), low, high))
    assert not desk.problems


@ramp
@on("curve", ["log", "balanced"])
def test_curves_of_attenuation(desk: Desk, curve: str) -> None:
    """The logarithmic and the balanced curve are what numpy computes for every level."""
    desk.at_actual_size()
    desk.look(curve=curve, low=300, high=60_000)
    check_close(desk.grey(), rounded(toned(desk.levels(), 300, 60_000, curve)))


@ramp
def test_gamma_and_inverse(desk: Desk) -> None:
    """Gamma raises the fraction of white to its inverse; inversion then swaps black and white."""
    desk.at_actual_size()
    desk.look(low=100, high=50_100, gamma=2.2)
    tone = np.clip((desk.levels().astype(float) - 100) / 50_000, 0, 1) ** (1 / 2.2)
    check_close(desk.grey(), rounded(tone))
    desk.run("v.set('inverse', true)")
    check_close(desk.grey(), 255 - rounded(tone))
    desk.run("v.set('gamma', 1)")
    np.testing.assert_array_equal(desk.grey(), 255 - windowed(desk.levels(), 100, 50_100))


@on("desk", ["display"], indirect=True)
def test_display_pictures_are_shown_as_they_are(desk: Desk) -> None:
    """A picture of 8 bits is shown with its own greys at first sight, and offers no physics."""
    desk.at_actual_size()
    np.testing.assert_array_equal(desk.grey(), desk.levels())
    tools = desk.page.evaluate(
        "() => [...document.querySelectorAll('[data-tool]')].map((b) => b.dataset.tool)"
    )
    assert not {"colour", "strip_organic", "strip_metal", "energy"} & set(tools)


@noise
@on("energy", [0, 1])
def test_both_energies_and_all_tiles(desk: Desk, energy: int) -> None:
    """At full size every pixel of either energy is there, over the seams of tiles too."""
    desk.look(energy=energy)
    desk.run("v.flag('navigator', false)")
    expected = windowed(desk.levels(energy), 0, 65535)
    desk.at_actual_size()
    for x, y in ((450, 290), (700, 310), (450, 310)):
        desk.place(x, y)
        x0, y0 = desk.page.evaluate("() => v.view.toScan(0, 0)")
        seen = desk.pixels()[..., 0]
        rows, columns = min(600, round(y0) + seen.shape[0]), min(1100, round(x0) + seen.shape[1])
        top, left = max(0, round(y0)), max(0, round(x0))
        part = seen[top - round(y0) : rows - round(y0), left - round(x0) : columns - round(x0)]
        np.testing.assert_array_equal(part, expected[top:rows, left:columns])


@noise
def test_half_size_is_the_pyramid(desk: Desk) -> None:
    """At half size one sees the means of 2 × 2 pixels, or the least where it is far darker."""
    desk.look(dense=False)
    desk.run("v.zoom(0.5 / v.view.scale)")
    half = desk.pyramid.levels[1]
    np.testing.assert_array_equal(desk.grey(), windowed(half.mean[0], 0, 65535))
    desk.run("v.set('dense', true)")
    mean, least = half.mean[0], half.least[0]
    shown = np.where(least < np.float32(0.75) * mean.astype(np.float32), least, mean)
    np.testing.assert_array_equal(desk.grey(), windowed(shown, 0, 65535))


@on("desk", ["speck"], indirect=True)
def test_a_dense_speck_is_seen_from_afar(desk: Desk) -> None:
    """One dense pixel of a large scan is visible in the whole view, and lost without the tool."""
    desk.look()
    assert desk.page.evaluate("() => v.view.scale") < 0.4
    assert desk.grey().min() < 10
    desk.run("v.set('dense', false)")
    assert desk.grey().min() > 120


@ramp
def test_enlarged_pixels(desk: Desk) -> None:
    """At three times the size a pixel is a square of nine, or blends into its neighbours."""
    desk.look(smooth=False)
    desk.place(100, 100, 3)
    desk.run("v.flag('navigator', false)")
    x0, y0 = (round(edge) for edge in desk.page.evaluate("() => v.view.toScreen(60, 60)"))
    grey = windowed(desk.levels()[60:120, 60:120], 0, 65535)
    seen = desk.pixels()[y0 : y0 + 180, x0 : x0 + 180, 0]
    np.testing.assert_array_equal(seen, grey.repeat(3, 0).repeat(3, 1))
    desk.run("v.set('smooth', true)")
    seen = desk.pixels()[y0 + 3 : y0 + 177, x0 + 3 : x0 + 177, 0]
    source = desk.levels()[60:120, 60:120].astype(np.float32)
    blended = cv2.resize(source, (180, 180), interpolation=cv2.INTER_LINEAR)[3:-3, 3:-3]
    assert np.abs(seen - blended / 65535 * 255).max() < 0.6


@ramp
def test_turns_and_mirror(desk: Desk) -> None:
    """A quarter turn and a mirror are those of numpy, pixel by pixel."""
    desk.at_actual_size()
    desk.look()
    upright = windowed(desk.levels(), 0, 65535)
    desk.run("v.mirror()")
    np.testing.assert_array_equal(desk.grey(), upright[:, ::-1])
    desk.run("v.mirror(); v.turn(1)")
    np.testing.assert_array_equal(desk.grey(), np.rot90(upright, -1))
    desk.run("v.turn(1)")
    np.testing.assert_array_equal(desk.grey(), np.rot90(upright, 2))
    desk.run("v.turn(1); v.mirror()")
    np.testing.assert_array_equal(desk.grey(), np.rot90(upright[:, ::-1]))


@on("desk", ["steps"], indirect=True)
def test_edges_are_sharpened(desk: Desk) -> None:
    """Sharpening adds what differs from the mean of 3 × 3 pixels; even places do not change."""
    desk.place(200, 150)
    desk.look()
    desk.run("v.flag('navigator', false)")
    plain, soft = desk.pixels()[..., 0], desk.levels().astype(np.float64) / 65535
    desk.run("v.set('edges', 1.2)")
    x0, y0 = (round(edge) for edge in desk.page.evaluate("() => v.view.toScreen(20, 20)"))
    sharp = np.clip(soft + 1.2 * (soft - cv2.blur(soft, (3, 3))), 0, 1)[20:280, 20:300]
    seen = desk.pixels()[y0 : y0 + 260, x0 : x0 + 280, 0]
    check_close(seen, rounded(sharp))
    assert (seen != plain[y0 : y0 + 260, x0 : x0 + 280]).any()


@goods
def test_local_contrast(desk: Desk) -> None:
    """Local contrast spreads the greys of a dark corner, and keeps their order in one place."""
    desk.run("v.set('dense', false)")
    desk.at_actual_size()
    before = desk.grey().astype(float)
    desk.run("v.set('local', 0.8)")
    after = desk.grey().astype(float)
    height, width = before.shape
    inside = np.s_[int(0.5 * height) : int(0.95 * height), int(0.2 * width) : int(0.8 * width)]
    assert after[inside].std() > 1.3 * before[inside].std()
    small = np.s_[int(0.5 * height) : int(0.53 * height), int(0.2 * width) : int(0.22 * width)]
    order = np.argsort(before[small], axis=None, kind="stable")
    assert np.diff(after[small].ravel()[order]).min() > -6


def material_place(desk: Desk) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return columns and rows in the table of materials, and how sure the surroundings are."""
    high, low = (desk.levels(energy).astype(np.float64) for energy in (0, 1))
    white, found = desk.pyramid.facts.white, desk.pyramid.facts.air_noise
    height, width = high.shape
    near = np.maximum(high, 1) * (0.04 + 3 * found * np.sqrt(white / np.maximum(high, 1)))
    sums, count = np.zeros((2, height, width)), np.zeros((height, width))
    for dy in range(-3, 4):
        rows = np.clip(np.arange(height) + dy, 0, height - 1)
        for dx in range(-3, 4):
            columns = np.clip(np.arange(width) + dx, 0, width - 1)
            other = high[rows][:, columns]
            alike = np.abs(other - high) <= near
            sums += alike * np.stack([other, low[rows][:, columns]])
            count += alike
    depth = -np.log(np.maximum(sums / count, 0.5) / white)
    high_depth = np.maximum(depth[0], 1e-6)
    first, last = table_of(desk).ratios
    column = np.sqrt(np.minimum(high_depth / DEEPEST, 1)) * (COLUMNS - 1)
    row = np.clip((depth[1] / high_depth - first) / (last - first), 0, 1) * (ROWS - 1)
    step = np.clip((count - 8) / 16, 0, 1)
    return column, row, step * step * (3 - 2 * step)


def table_of(desk: Desk) -> colour_table.ColourTable:
    """Return the table that the server makes for the scan."""
    facts = desk.pyramid.facts
    return colour_table.make(tuple(facts.endpoint_mev), round(facts.air_noise, 4))


def look_up(picture: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return what lies at places of a picture, blended between its pixels."""
    places = column.astype(np.float32), row.astype(np.float32)
    return np.asarray(cv2.remap(picture.astype(np.float32), *places, cv2.INTER_LINEAR))


@goods
def test_colours_are_those_of_the_physics(desk: Desk) -> None:
    """Seen at full size, a dual-energy scan has the colours that `nii.physics` gives its pixels."""
    desk.at_actual_size()
    desk.look(high=desk.pyramid.facts.white)
    grey = desk.scan_pixels().astype(np.float64)
    desk.run("v.set('colour', true)")
    column, row, sure = material_place(desk)
    shade = look_up(table_of(desk).shades, column, row)[..., :3] / 255
    expected = grey * (0.8 + sure[..., None] * (shade - 0.8))
    difference = np.abs(desk.scan_pixels() - expected)
    assert (difference <= 2).mean() > 0.995
    assert np.ptp(desk.scan_pixels().astype(int), -1).max() > 60, "nothing has a colour"


@goods
@on("kind", ["organic", "metal"])
def test_stripping_takes_a_class_away(desk: Desk, kind: str) -> None:
    """What is probably of the stripped class fades to white; the rest stays as it was."""
    desk.at_actual_size()
    desk.look(high=desk.pyramid.facts.white)
    before = desk.grey().astype(np.float64) / 255
    desk.run(f"v.strip('{kind}')")
    column, row, sure = material_place(desk)
    known = look_up(table_of(desk).classes, column, row) / 255
    gone = known[..., 0] if kind == "organic" else known[..., 2] + known[..., 3]
    step = np.clip((gone - 0.35) / 0.35, 0, 1)
    expected = before + (1 - before) * 0.92 * sure * step * step * (3 - 2 * step)
    seen = desk.grey()
    assert (np.abs(seen - 255 * expected) <= 2).mean() > 0.99
    assert (seen > 255 * before + 20).mean() > 0.005, "nothing was taken away"


@ramp
def test_density_range_is_tinted(desk: Desk) -> None:
    """Exactly the pixels between both levels are tinted."""
    desk.at_actual_size()
    desk.look(mark=True, markLow=1000, markHigh=2000)
    seen, levels = desk.scan_pixels().astype(int), desk.levels()
    tinted = seen[..., 0] != seen[..., 1]
    np.testing.assert_array_equal(tinted, (levels >= 1000) & (levels <= 2000))


@noise
def test_moving_is_drawn_at_half_resolution(desk: Desk) -> None:
    """Where a picture takes long it and its canvas are coarse while it moves, whole at rest."""
    desk.run("v.view.scale *= 2; v.refill()")
    still = desk.pixels()
    size = "() => [v.canvas.width, v.canvas.height]"
    whole = desk.page.evaluate(size)
    drag = "const look = {...v.look}; v.dragWindow(0.1, 0); v.look = look; v.redraw(false)"
    for move in ("v.pan(1, 0); v.pan(-1, 0)", drag):
        drawn, coarse = desk.page.evaluate(
            f"""async () => {{
              v.pace.slow = {{fill: true, draw: true}};
              {move};
              await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
              return [v.drawnHalf, [v.canvas.width, v.canvas.height]];
            }}"""
        )
        assert drawn is True
        assert coarse == [-(-side // 2) for side in whole]
        desk.page.evaluate("() => v.settled()")
        assert desk.page.evaluate("() => v.drawnHalf") is False
        assert desk.page.evaluate(size) == whole
        np.testing.assert_array_equal(desk.pixels(), still)


@on("desk", ["steps"], indirect=True)
def test_a_coarse_picture_shows_what_the_whole_one_shows(desk: Desk) -> None:
    """Each second pixel of a stepped scan is the same at once, before coarser tiles have come."""
    desk.run("v.fit()")
    whole, coarse = desk.page.evaluate(
        """() => {
          const shot = (half) => {
            v.stale = {full: !half, half: true};
            v.busy = half;
            v.pace.slow = {fill: half, draw: half};
            v.paint();
            const {width, height} = v.canvas, middle = 4 * width * (height >> 1);
            const row = v.engine.pixels().subarray(middle, middle + 4 * width);
            return [...row].filter((_, i) => i % 4 === 0);
          };
          return [shot(false), shot(true)];
        }"""
    )
    desk.page.evaluate("() => { v.busy = false; v.pace.rest(); v.refill(); }")
    assert len(set(whole)) > 32
    assert len(coarse) == -(-len(whole) // 2)
    inside = slice(1, -1)  # a step that ends inside a coarse pixel is its mean
    differ = np.abs(np.array(whole)[::2][inside].astype(int) - np.array(coarse)[inside])
    assert np.mean(differ > 0) < 0.25
    assert differ.max() <= 16


@noise
def test_pace_learns_from_the_time_between_pictures(desk: Desk) -> None:
    """Slow pictures in a row make the next ones coarse; only quick coarse ones end that at rest."""
    found = desk.page.evaluate(
        """async () => {
          const {Pace} = await import("/static/viewer/pace.js"), pace = new Pace(), seen = [];
          const drag = (half, step) => {
            for (let at = 0; at < 6 * step; at += step) pace.note("draw", half, at - step + 5, at);
            seen.push(pace.slow.draw);
            pace.rest();
            seen.push(pace.slow.draw);
          };
          drag(false, 16); drag(false, 90); drag(true, 60); drag(true, 16);
          for (let at = 0; at < 2000; at += 400) pace.note("draw", false, at - 1, at);
          seen.push(pace.slow.draw, pace.slow.fill);
          return seen;
        }"""
    )
    assert found == [False, False, True, True, True, True, True, False, False, False]


@noise
def test_a_slider_reruns_the_second_pass_only(desk: Desk) -> None:
    """Window, gamma and inversion never resample tiles; a movement does."""
    count = """async () => {
      await v.settled();
      let fills = 0;
      const fill = v.engine.fill;
      v.engine.fill = function (...given) { fills++; return fill.apply(this, given); };
      %s
      await v.settled(); v.engine.fill = fill; return fills;
    }"""
    assert (
        desk.page.evaluate(
            count % "v.window('low', 500); v.set('gamma', 1.4); v.set('inverse', true);"
        )
        == 0
    )
    assert desk.page.evaluate(count % "v.pan(20, 0);") > 0


@goods
def test_a_lost_context_comes_back(desk: Desk) -> None:
    """When the graphics take everything away, the same picture returns by itself."""
    desk.run("v.set('colour', true); v.set('local', 0.8)")
    before = desk.pixels()
    lost = desk.page.evaluate(
        """async () => {
          const off = v.engine.gl.getExtension("WEBGL_lose_context");
          off.loseContext();
          await new Promise((done) => setTimeout(done, 100));
          const lost = v.engine.lost;
          v.pan(3, 0); v.pan(-3, 0);
          off.restoreContext();
          await new Promise((done) => setTimeout(done, 200));
          return [lost, v.engine.lost];
        }"""
    )
    assert lost == [True, False]
    np.testing.assert_array_equal(desk.pixels(), before)
    assert not desk.problems
