"""Detector: a bundle and an open session; scan in, detections and times out."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from nii.bundle import Bundle, Card, read_bundle
from nii.detections import Detections
from nii.infer import strips
from nii.infer.anomaly import Found, map_of
from nii.infer.decode import decode
from nii.infer.ends import fitted
from nii.infer.reach import reach_of
from nii.infer.runtime import ProviderSettings, Session, check_card, open_bundle
from nii.inspection import ModelFacts, ProviderFacts
from nii.scan import AnyScan
from nii.trust import Trust, admit

REVISION = 2
"""Raised whenever the same network and scan give other boxes or scores: what was answered before is
not mixed with what is answered now. 2: boxes of containers are fitted (:mod:`nii.infer.ends`)."""


class Detector:
    """Find threats and structures in scans with one model.

    Attributes:
        card: facts about the model.
        model: its name, version and digest, for the report.
        session: the model itself, held open.
    """

    def __init__(
        self,
        bundle: Bundle,
        session: Session,
        timer: Callable[[], float] = time.perf_counter,
        signer: str | None = None,
    ) -> None:
        """Keep an intact bundle and its open session.

        Args:
            bundle: a bundle whose files were found intact.
            session: its model, held open.
            timer: clock in seconds that only rises.
            signer: who vouches for the bundle; None where nobody does or nobody asked.

        Raises:
            BundleError: the card inside the model is not the one of the bundle.
        """
        check_card(session, bundle.card, bundle.folder)
        self.card: Card = bundle.card
        self.model = ModelFacts(bundle.card.name, bundle.card.version, bundle.sha256, signer)
        self.session = session
        self._timer = timer
        self._reach = reach_of(bundle.model_path.read_bytes())

    @classmethod
    def open(
        cls, folder: Path, settings: ProviderSettings | None = None, rules: Trust | None = None
    ) -> Detector:
        """Read a bundle and open its model.

        Args:
            folder: the bundle.
            settings: what it shall run on.
            rules: whom to trust; None does not ask who signed it.

        Raises:
            BundleError: the bundle is incomplete, altered, contradicts itself or is not trusted.
            ProviderError: a GPU is required and none can be used.
        """
        bundle = read_bundle(folder)
        signer = admit(bundle, rules, datetime.now(UTC)).signer if rules else None
        return cls(bundle, open_bundle(bundle, settings or ProviderSettings()), signer=signer)

    @property
    def provider(self) -> ProviderFacts:
        """Return what the model really runs on."""
        return self.session.provider

    def detect(self, scan: AnyScan) -> tuple[Detections, dict[str, float]]:
        """Return everything found down to the card's lowest heat, and milliseconds by stage.

        Raises:
            ProviderError: the hardware gave up.
        """
        found = self.examine(scan)
        return found.detections, dict(found.timing_ms)

    def examine(self, scan: AnyScan) -> Found:
        """Return what :meth:`detect` does, and the anomaly map where the model has one.

        Raises:
            ProviderError: the hardware gave up.
        """
        network = strips.Network(self.session.run, self.card, self._reach)
        look = strips.look(scan, network, self._timer)
        found = decode(look.maps, self.card, look.frame)
        found = fitted(found, scan, self.card.thresholds.structure)
        stages = (look.preprocess_s, look.run_s, self._timer() - look.ended_s)
        timing = {
            name: 1e3 * seconds
            for name, seconds in zip(("preprocess", "run", "decode"), stages, strict=True)
        }
        stride = self.card.decode.threat_stride
        return Found(found, timing, map_of(look.maps, look.frame, stride))
