"""The self-test of a bundle: what is stored comes back, and other numbers are found."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii.bundle import Bundle
from nii.infer import selftest
from nii.infer.runtime import CPU, ProviderSettings, open_session, self_test_of
from nii.infer.selftest import MAX_DIFFERENCE, OUTPUTS, SelfTest
from nii.preprocess import PreprocessSpec


@pytest.fixture
def test(tiny_bundle: Bundle) -> SelfTest:
    """Return the self-test of the tiny bundle."""
    found = self_test_of(tiny_bundle)
    assert found is not None
    return found


def test_it_is_small_and_comes_back(test: SelfTest) -> None:
    """Input and sizes come back exactly, values to half a thousandth, from less than 100 kB."""
    content = selftest.to_bytes(test)
    again = selftest.from_bytes(content)
    assert len(content) < 100_000
    np.testing.assert_array_equal(again.detail, test.detail)
    np.testing.assert_array_equal(again.overview, test.overview)
    for one, other in zip(again.expected, test.expected, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-4)


def test_the_same_machine_gives_the_same_numbers(tiny_bundle: Bundle, test: SelfTest) -> None:
    """The provider that recorded the self-test passes it."""
    session = open_session(tiny_bundle.model_path, ProviderSettings((CPU,)))
    outcome = selftest.outcome(test, session.run(test.detail, test.overview))
    assert outcome.passed
    assert outcome.largest < MAX_DIFFERENCE / 5
    assert str(outcome).startswith("passed: numbers differ by up to")


@given(
    row=st.integers(0, len(OUTPUTS) - 1),
    place=st.floats(0, 1, exclude_max=True),
    change=st.sampled_from([0.01, -0.5, 7.0, np.inf, -np.inf, np.nan]),
)
def test_one_wrong_value_is_found(test: SelfTest, row: int, place: float, change: float) -> None:
    """A single value that is off, or no number, fails, and its map is named."""
    maps = [np.array(part) for part in test.expected]
    flat = maps[row].reshape(-1)
    flat[int(place * flat.size)] += np.float32(change * max(1.0, float(np.abs(flat).max())))
    outcome = selftest.outcome(test, maps)
    assert not outcome.passed
    assert outcome.output == OUTPUTS[row]
    assert str(outcome).startswith("failed")


def test_maps_of_another_size_fail(test: SelfTest) -> None:
    """A map that lacks a row is no agreement."""
    maps = [test.expected[0][:, :, 1:], *test.expected[1:]]
    assert not selftest.outcome(test, maps).passed


def test_sizes_follow_the_model() -> None:
    """The input fits the multiples that a model asks for, whatever they are."""
    spec = PreprocessSpec(overview_height=64, detail_multiple=40, overview_multiple=48)
    seen = {}

    def run(detail: np.ndarray, overview: np.ndarray) -> list[np.ndarray]:
        seen["detail"], seen["overview"] = detail.shape, overview.shape
        return [np.zeros((1, 1, 1, 1), np.float32)] * len(OUTPUTS)

    selftest.record(run, spec)
    assert seen == {"detail": (1, 4, 80, 120), "overview": (1, 4, 64, 96)}


def test_a_larger_input_is_whole_copies(test: SelfTest) -> None:
    """The input of the race keeps the multiples that the model asks for."""
    large = selftest.enlarged(test, 256, 480)
    assert large.detail.shape == (1, 4, 256, 480)
    np.testing.assert_array_equal(large.detail[:, :, 64:128, 96:192], test.detail)
    assert large.overview.shape[3] % test.overview.shape[3] == 0


def packed(**arrays: np.ndarray) -> bytes:
    """Return an archive of arrays."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=True, **arrays)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        packed(detail=np.zeros(3)),
        packed(**dict.fromkeys(("detail", "overview", *OUTPUTS), np.zeros((1, 1, 1), np.uint8))),
        packed(**dict.fromkeys(("detail", "overview", *OUTPUTS), np.array([{}], object))),
        packed(detail=np.zeros(64 << 20, np.uint8)),
    ],
    ids=["empty", "rubbish", "incomplete", "other", "pickle", "bomb"],
)
def test_what_is_no_self_test_is_refused(content: bytes) -> None:
    """Rubbish, missing arrays, pickles and archives that swell are plain errors."""
    with pytest.raises(ValueError, match=r".+"):
        selftest.from_bytes(content)


@pytest.mark.slow
@settings(max_examples=300)
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_damaged_self_test_is_refused_or_read(test: SelfTest, place: float, change: int) -> None:
    """One changed byte gives a plain error or arrays of the same kinds, never anything else."""
    content = bytearray(selftest.to_bytes(test))
    content[int(place * len(content))] ^= change
    try:
        again = selftest.from_bytes(bytes(content))
    except ValueError as error:
        assert str(error)  # noqa: PT017 - the other outcome is fine as well
    else:
        assert len(again.expected) == len(test.expected)
