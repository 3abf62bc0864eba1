"""Write the digests of the bundles in models/ into nii/shipped.toml; nii runs these unsigned.

    python scripts/record_models.py

A bundle without a self-test gets one. Where the variable NII_RELEASE_KEY names a private key, the
bundles are signed with it; its public key belongs into nii/release.pem. A version below the one on
record is refused: workstations would refuse it as well.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from nii import dsse, trust
from nii.bundle import PARITY_FILE, Bundle, read_bundle, write_bundle
from nii.infer import selftest
from nii.infer.runtime import CPU, ProviderSettings, open_session
from nii.signature import digest_of
from nii.signing import read_key
from nii.versions import version_key

MODELS = Path(__file__).resolve().parents[1] / "models"
KEY_VARIABLE = "NII_RELEASE_KEY"
HEAD = """\
# Digests of the bundles in models/, which this version of nii runs without a signature.
# Written by scripts/record_models.py; `sha256sum * | sha256sum` in a folder prints its digest.
"""


def main() -> int:
    """Record every bundle."""
    key_path = os.environ.get(KEY_VARIABLE)
    key = read_key(Path(key_path)) if key_path else None
    bundles = [read_bundle(path.parent) for path in sorted(MODELS.glob("*/card.json"))]
    record(bundles, trust.SHIPPED_FILE, key)
    return 0


def record(bundles: list[Bundle], place: Path, key: dsse.PrivateKey | None = None) -> None:
    """Complete, sign and record bundles.

    Args:
        bundles: all that are shipped.
        place: the file that is written.
        key: of the project; None leaves the bundles unsigned.

    Raises:
        SystemExit: a version is lower than the one on record.
    """
    before = tomllib.loads(place.read_text("utf-8")) if place.is_file() else {}
    rows = [HEAD]
    for bundle in bundles:
        name, version = bundle.card.name, bundle.card.version
        known = str(before.get(name, {}).get("version", version))
        if version_key(version) < version_key(known):
            sys.exit(f"{name} {version} is older than {known} on record: export with --version")
        complete = with_self_test(bundle)
        if key is not None:
            trust.sign_bundle(complete, key, datetime.now(UTC))
        digest = digest_of(complete.folder)
        rows.append(f'[{name}]\nversion = "{version}"\nsha256 = "{digest}"\n')
        print(f"{name} {version}: {digest}")
    place.write_text("\n".join(rows), "utf-8")


def with_self_test(bundle: Bundle) -> Bundle:
    """Return a bundle with its self-test; the model itself stays as it is."""
    if bundle.self_test_path is not None:
        return bundle
    session = open_session(bundle.model_path, ProviderSettings((CPU,)))
    test = selftest.to_bytes(selftest.record(session.run, bundle.card.preprocess))
    parity = json.loads((bundle.folder / PARITY_FILE).read_bytes())
    return write_bundle(bundle.folder, bundle.card, bundle.model_path.read_bytes(), parity, test)


if __name__ == "__main__":
    sys.exit(main())
