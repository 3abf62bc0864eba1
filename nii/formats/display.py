"""Pictures made for the eye → one grey channel."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

GREY_CURVE = "display image: its grey curve is unknown; white is taken as 1"

_SPREAD = 32  # assumption: compression alone does not tear the channels of a grey image this far
_SHARE = 0.01  # assumption: a coloured stamp or caption covers less than this


def grey_of_colour(
    bgr: UInt8[np.ndarray, "height width 3"],
) -> tuple[UInt8[np.ndarray, "height width"], tuple[str, ...]]:
    """Return luminance and the steps to note.

    Reference:
        ITU-R BT.601: Y = 0.299 R + 0.587 G + 0.114 B.
    """
    grey = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
    spread = cv2.subtract(
        cv2.max(cv2.max(bgr[..., 0], bgr[..., 1]), bgr[..., 2]),
        cv2.min(cv2.min(bgr[..., 0], bgr[..., 1]), bgr[..., 2]),
    )
    if not np.any(spread):
        return grey, ()
    steps: tuple[str, ...] = ("colour was reduced to luminance (BT.601)",)
    share = float(np.count_nonzero(np.asarray(spread) > _SPREAD)) / grey.size
    if share > _SHARE:
        pseudo = f"{share:.0%} of the pixels are colourful: a pseudo-colour image, "
        steps += (pseudo + "whose luminance need not rise with transmission",)
    return grey, steps
