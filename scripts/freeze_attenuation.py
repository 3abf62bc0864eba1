"""Freeze the NIST attenuation tables that the package roentgen carries into one csv of nii.

Example: pip install roentgen==2.4.0, then
python scripts/freeze_attenuation.py nii/physics/mass_attenuation.csv

Every row of every element is copied as it is, absorption edges included: an edge is two rows with
the same energy, the value below it first. Only the total coefficient is kept. The package itself
is read as a folder of files and never imported, so that its own dependencies are not needed.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

# fmt: off
ELEMENTS = {
    # symbol to atomic number: what cargo, vehicles, threats, shields and scintillators consist of
    "H": 1, "Li": 3, "B": 5, "C": 6, "N": 7, "O": 8, "F": 9, "Na": 11, "Mg": 12, "Al": 13,
    "Si": 14, "P": 15, "S": 16, "Cl": 17, "Ar": 18, "K": 19, "Ca": 20, "Ti": 22, "V": 23,
    "Cr": 24, "Mn": 25, "Fe": 26, "Co": 27, "Ni": 28, "Cu": 29, "Zn": 30, "Br": 35, "Zr": 40,
    "Mo": 42, "Ag": 47, "Cd": 48, "Sn": 50, "Sb": 51, "I": 53, "Cs": 55, "Ba": 56, "Gd": 64,
    "W": 74, "Pt": 78, "Au": 79, "Hg": 80, "Pb": 82, "Bi": 83, "Th": 90, "U": 92,
}
# fmt: on
HEAD = """\
# Mass attenuation coefficients mu/rho of the elements, total with coherent scattering.
# Source: J. H. Hubbell and S. M. Seltzer, Tables of X-Ray Mass Attenuation Coefficients, NISTIR
# 5632 (NIST, 1995), table 3, as carried by the package roentgen {version} (Apache-2.0);
# made by scripts/freeze_attenuation.py. An absorption edge is two rows of one energy.
element,z,energy_mev,mass_attenuation_cm2_per_g
"""


def tables() -> Path:
    """Return the folder of the package with one csv for each element."""
    package = find_spec("roentgen")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("freeze_attenuation needs: pip install roentgen==2.4.0")
    return Path(package.submodule_search_locations[0]) / "data" / "elements"


def rows(symbol: str, z: int, folder: Path) -> list[str]:
    """Return the rows of one element, numbers as written in its table."""
    lines = (folder / f"z{z:02d}.csv").read_text("utf-8").splitlines()
    data = [line.split(",") for line in lines if line and not line.startswith("#")]
    return [f"{symbol},{z},{float(cells[0]):g},{float(cells[1]):g}" for cells in data]


def main(target: Path) -> None:
    """Write the table."""
    folder = tables()
    lines = [line for symbol, z in ELEMENTS.items() for line in rows(symbol, z, folder)]
    head = HEAD.format(version=version("roentgen"))
    target.write_text(head + "\n".join(lines) + "\n", "utf-8")
    print(f"{target}: {len(ELEMENTS)} elements, {len(lines)} rows")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
