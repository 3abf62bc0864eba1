"""Worker: a shard in, its table and marker written; what every engine runs, once a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nii.infer.detect import Detector
from nii.infer.inspect import Finds
from nii.infer.runtime import ProviderSettings
from nii.score.archive import Place
from nii.score.scorer import Scorer
from nii.score.shards import Ledger, Outcome, Shard
from nii.trust import Trust


@dataclass(frozen=True, slots=True)
class Model:
    """A bundle, how it shall run, and whom to trust; opens it where it is needed."""

    bundle: Path
    settings: ProviderSettings
    rules: Trust | None = None

    def __call__(self) -> Finds:
        """Open the model.

        Raises:
            BundleError: the bundle is incomplete, altered or not trusted.
            ProviderError: a GPU is required and none can be used.
        """
        return Detector.open(self.bundle, self.settings, self.rules)


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker of a run has to know; it crosses process and machine borders.

    Attributes:
        archive: where the scans lie.
        out: where tables and markers go.
        open_detector: opens the model; must be picklable for more than one process.
    """

    archive: Place
    out: Place
    open_detector: Callable[[], Finds]


class Worker:
    """Hold a model open and do one shard after the other."""

    def __init__(self, job: Job, *, ahead: bool = True) -> None:
        """Open the model.

        Args:
            job: what is to be done.
            ahead: read the next scan while one is inspected.

        Raises:
            BundleError, ProviderError: as :class:`Model` says.
        """
        self._scorer = Scorer(job.archive, job.open_detector(), ahead=ahead)
        self._ledger = Ledger(job.out)

    def __call__(
        self,
        shard: Shard,
        skipped: Mapping[int, str] | None = None,
        note: Callable[[int], None] = lambda _row: None,
    ) -> Outcome:
        """Score a shard; arguments as in :meth:`nii.score.scorer.Scorer.rows`.

        Raises:
            BundleError, MissingExtraError, ProviderError: model or hardware failed.
            OSError: the archive cannot be reached, or the table cannot be written.
        """
        rows = list(self._scorer.rows(shard.groups, skipped, note))
        return self._ledger.finish(shard, rows, self._scorer.provider.used[0])
