"""Commands about one site: learn what its benign scans look like."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import cyclopts

from nii.cli_station import bundle_of, rules_of
from nii.errors import ConfigError
from nii.terminal import progress, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nii.infer.detect import Detector
    from nii.infer.site_learn import Seen

site = cyclopts.App(
    name="site",
    help=(
        "Learn what is usual at one site, so that its containers can be ranked by how unusual "
        "they are.\n\nExample: nii site learn /lane1/benign --out lane1.site"
    ),
)


@site.command
def learn(
    *scans: Path,
    out: Path,
    bundle: Path | None = None,
    trust: Path | None = None,
    allow_unsigned: bool = False,
) -> int:
    """Learn a site model from benign scans of one scanner; takes minutes on a CPU.

    nii inspect --site FILE then ranks containers by it. The ranking draws attention; it is no alarm
    and raises no level.

    Example: nii site learn /lane1/benign --out lane1.site

    Args:
        scans: benign scans of one scanner, or folders of them; about 200 are enough.
        out: file to write.
        bundle: folder of the model that finds containers; that in NII_BUNDLE or in models/.
        trust: folder of trusted keys; that in NII_TRUST or of the user where not given.
        allow_unsigned: run a bundle that nobody known has signed.
    """
    from nii import formats
    from nii.infer.detect import Detector
    from nii.infer.runtime import ProviderSettings
    from nii.infer.site import write_site
    from nii.infer.site_learn import learn_site

    groups = formats.find(scans)
    if not groups:
        raise ConfigError(
            "nii site learn", found="no scan", expected="benign scans", remedy="Name a folder."
        )
    detector = Detector.open(bundle_of(bundle), ProviderSettings(), rules_of(trust, allow_unsigned))
    with progress("learning") as advance:
        model = learn_site(
            _seen(groups, detector),
            lambda: datetime.now(UTC),
            lambda done, total: advance(done, total, ""),
        )
    digest = write_site(model, out)
    facts = model.facts
    say(f"{facts.containers} containers of {facts.scans} scans learnt: {out}, SHA-256 {digest}")
    return 0


def _seen(groups: tuple[tuple[Path, ...], ...], detector: Detector) -> Iterator[Seen]:
    from nii import formats
    from nii.infer.inspect import structures_of
    from nii.infer.site_learn import Seen

    for files in groups:
        scan = formats.read(list(files))
        found, _ = detector.detect(scan)
        parts = structures_of(found, detector.card, scan)
        yield Seen(scan, tuple(part.box_xyxy for part in parts if part.kind == "container"))
