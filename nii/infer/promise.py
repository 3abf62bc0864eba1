"""The guarantee from scan to scan: a drift test on disk, which suspends what was promised.

One small file beside the results or the journal holds the test, for the bundle that runs. Once the
guarantee is suspended it stays so in every result, over restarts, until another calibration
(another bundle) or until a person takes the blame for resetting it; both are written down in it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from nii.bundle import Card, GuaranteeSpec
from nii.config import from_dict, to_dict
from nii.detections import Detections
from nii.errors import ConfigError
from nii.folders import write_whole
from nii.infer.anomaly import Found
from nii.infer.drift import LEAST_REFERENCE, DriftState, begin, observe, verdict
from nii.infer.inspect import Examines, Finds
from nii.inspection import GuaranteeFacts, ModelFacts, ProviderFacts
from nii.scan import AnyScan

_LOG = logging.getLogger(__name__)
PROMISE_FILE = "guarantee.json"


@dataclass(frozen=True, slots=True)
class Reset:
    """Say who resumed a guarantee, when and why.

    Attributes:
        by: the person.
        why: the reason given.
        at: time with zone, ISO 8601.
        suspended: what the test had said.
    """

    by: str
    why: str
    at: str
    suspended: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Hold what is kept on disk.

    Attributes:
        bundle_sha256: the model it is about.
        drift: the test; None where the calibration left too few scores to begin one.
        resets: what people did, oldest first.
    """

    bundle_sha256: str
    drift: DriftState | None
    resets: tuple[Reset, ...] = ()


class Watched:
    """A detector whose guarantee is followed from scan to scan; otherwise the detector itself."""

    def __init__(self, detector: Finds, folder: Path) -> None:
        """Go on with the test that the folder holds, or begin one for another bundle.

        Args:
            detector: finds threats and structures.
            folder: gets the file `PROMISE_FILE`; made with the first scan if it is not there.

        Raises:
            ConfigError: the file is damaged.
        """
        self._detector = detector
        self._path = folder / PROMISE_FILE
        self._standing = standing_of(self._path, detector.model.sha256, detector.card.guarantee)
        self._told = False

    @property
    def provider(self) -> ProviderFacts:
        """Return what the model really runs on."""
        return self._detector.provider

    @property
    def model(self) -> ModelFacts:
        """Return which model looks."""
        return self._detector.model

    @property
    def card(self) -> Card:
        """Return the facts about the model."""
        return self._detector.card

    def detect(self, scan: AnyScan) -> tuple[Detections, Mapping[str, float]]:
        """Return everything found, and milliseconds by stage."""
        return self._detector.detect(scan)

    def examine(self, scan: AnyScan) -> Found:
        """Return what :meth:`detect` does, and the anomaly map where the model has one."""
        if isinstance(self._detector, Examines):
            return self._detector.examine(scan)
        return Found(*self._detector.detect(scan))

    def settle(self, facts: GuaranteeFacts) -> GuaranteeFacts:
        """Return what the guarantee is worth once the scores of one more scan are known.

        A state that cannot be written suspends: a promise that forgets is none.
        """
        if facts.state == "none":
            return facts
        try:
            self._reload()
            self._standing = seen(self._standing, facts)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, _bytes(self._standing))
        except (OSError, ConfigError) as error:
            reason = f"Guarantee suspended: the drift test cannot be kept ({error})."
            _LOG.warning("%s", reason)
            return replace(facts, state="suspended", reason=reason)
        result = worth(self._standing, facts)
        if result.state == "suspended":
            _LOG.warning("%s", result.reason)
        return result

    def _reload(self) -> None:
        """Take over what a person may have reset meanwhile."""
        if self._path.is_file():
            model, spec = self._detector.model.sha256, self._detector.card.guarantee
            self._standing = standing_of(self._path, model, spec)


def standing_of(path: Path, bundle_sha256: str, promised: GuaranteeSpec | None) -> Standing:
    """Return what a file holds about a bundle; a fresh start where it is about another one.

    Raises:
        ConfigError: the file is damaged.
    """
    fresh = Standing(bundle_sha256, _begun(promised))
    if not path.is_file():
        return fresh
    kept = read_standing(path)
    return kept if kept.bundle_sha256 == bundle_sha256 else replace(fresh, resets=kept.resets)


def read_standing(path: Path) -> Standing:
    """Read the state of a guarantee.

    Raises:
        ConfigError: there is none, or it is damaged.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return from_dict(Standing, data, where=str(path))
    except (OSError, ValueError, ConfigError) as error:
        raise ConfigError(
            path,
            found=f"no readable state of the guarantee ({error})",
            expected="what nii wrote there",
            remedy="Calibrate again, or remove the file and reset the guarantee knowingly.",
        ) from error


def seen(standing: Standing, facts: GuaranteeFacts) -> Standing:
    """Return the state after one more scan."""
    if standing.drift is None:
        return standing
    return replace(standing, drift=observe(standing.drift, facts.scores))


def worth(standing: Standing, facts: GuaranteeFacts) -> GuaranteeFacts:
    """Return what the guarantee is worth as far as the scans so far tell."""
    if standing.drift is None:
        reason = (
            f"Guarantee suspended: the card holds fewer than {LEAST_REFERENCE} benign scores, so "
            "drift cannot be seen. Calibrate with more scans."
        )
        return replace(facts, state="suspended", reason=reason)
    reason = verdict(standing.drift)
    if standing.resets and not standing.drift.suspended:
        last = standing.resets[-1]
        reason += f" Reset by {last.by} at {last.at}: {last.why}."
    if standing.drift.suspended:
        return replace(facts, state="suspended", reason=reason)
    return replace(facts, state="holds", reason=reason)


def reset(folder: Path, by: str, why: str, clock: Callable[[], datetime]) -> Standing:
    """Let a person resume a guarantee; the test begins anew, and who did it stays on record.

    Raises:
        ConfigError: nothing is kept there, or name or reason are missing.
        OSError: the file cannot be written.
    """
    if not by.strip() or not why.strip():
        raise ConfigError(
            "reset",
            found="no name or no reason",
            expected="who resets the guarantee, and why",
            remedy="Give both with --by and --why.",
        )
    path = folder / PROMISE_FILE
    before = read_standing(path)
    if before.drift is None:
        raise ConfigError(
            path,
            found="a calibration with too few scores to test drift",
            expected="a drift test",
            remedy="Calibrate with more scans.",
        )
    row = Reset(by, why, clock().isoformat(timespec="seconds"), verdict(before.drift))
    drift = before.drift
    fresh = replace(begin(drift.reference, drift.false_alarm, drift.seed), runs=drift.runs + 1)
    after = Standing(before.bundle_sha256, fresh, (*before.resets, row))
    write_whole(path, _bytes(after))
    _LOG.warning("guarantee reset by %s: %s", by, why)
    return after


def _begun(promised: GuaranteeSpec | None) -> DriftState | None:
    if promised is None or len(promised.reference) < LEAST_REFERENCE:
        return None
    return begin(promised.reference)


def _bytes(standing: Standing) -> bytes:
    return (json.dumps(to_dict(standing)) + "\n").encode()
