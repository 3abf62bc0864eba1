"""Things an officer looks for: the table of makers, one a class.

Every class is a function ``(rng) -> Threat`` in the table `THREATS`, keyed by its taxonomy name.
Changes of the vehicle itself, the class ``modification``, depend on the vehicle: they are in
:mod:`nii.simulate.conveyance`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nii.simulate.hidden import Threat, place, rotate
from nii.simulate.threats_goods import brick, cigarettes, currency, dense_object
from nii.simulate.threats_large import hidden_vehicle, person
from nii.simulate.threats_weapons import ammunition, explosive, firearm

__all__ = ["THREATS", "Threat", "place", "rotate"]

THREATS: dict[str, Callable[[np.random.Generator], Threat]] = {
    "firearm": firearm,
    "brick": brick,
    "cigarettes": cigarettes,
    "dense_object": dense_object,
    "ammunition": ammunition,
    "explosive": explosive,
    "currency": currency,
    "hidden_vehicle": hidden_vehicle,
    "person": person,
}
