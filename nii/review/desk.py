"""What pages and API share: the store at hand, who may see what in it, and what can be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from nii.errors import NiiError
from nii.inspection import Inspection, Level
from nii.review import asked as asking
from nii.review import auth, records
from nii.review.asked import Asked, number
from nii.review.auth import Person, Right, SessionSettings
from nii.review.guard import LOOPBACK_HOSTS
from nii.review.language import Tongue
from nii.review.pictures import Pictures
from nii.review.records import Case, Page, Papers, Row
from nii.store import audit, decisions, inspections, marks, outcomes, queue, scans, users
from nii.store.database import Store
from nii.store.decisions import Decision, Opinion, Verdict
from nii.store.marks import Mark
from nii.store.outcomes import Outcome
from nii.store.scans import KeptScan

__all__ = ["Asked", "Case", "Desk", "Page", "Papers", "ReviewSettings", "Row", "number"]
PUSHED = "pushed"
"""Event: a program brought a scan."""


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """Settings of the web app."""

    hosts: tuple[str, ...] = LOOPBACK_HOSTS
    """Host names under which it may be asked, without port."""
    page_size: int = 30
    """Inspections on one page of the queue."""
    pictures: Path | None = None
    """Folder for drawn pictures; None puts it beside the folder of original files."""
    break_minutes: int = 20
    """Viewing time after which a break is advised; 0 never advises one."""
    claim_minutes: float = 10.0
    """How long a scan is held for an officer who does nothing."""
    sessions: SessionSettings = SessionSettings()  # noqa: RUF009 - frozen
    """How long sessions last and when an account is locked."""
    oidc_issuer: str = ""
    """Address of an OpenID Connect provider; empty for none."""
    oidc_client: str = ""
    """Name of this web app at the provider."""
    oidc_name: str = ""
    """Name of the provider, as the button shows it."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Hold what every handler needs, and do what officers do.

    Attributes:
        store: what is shown.
        pictures: draws the scans.
        settings: of the web app.
        clock: gives the time.
    """

    store: Store
    pictures: Pictures
    settings: ReviewSettings
    clock: Callable[[], datetime]

    # ── what is shown ─────────────────────────────────────────────────────────────────────────

    def asked(self, parameters: Mapping[str, str]) -> Asked:
        """Read filters of the queue from the parameters of an address.

        Raises:
            HTTPException: 404 where a value is none of those that exist.
        """
        return asking.asked(parameters, self.settings.page_size)

    def page(self, person: Person, wanted: Asked) -> Page:
        """Return a page of the queue as a person may see it."""
        raise NotImplementedError

    def case(self, person: Person, text: str) -> Case:
        """Return the inspection whose id stands in the address.

        Raises:
            HTTPException: 404 where there is none for this person.
        """
        found = records.case(self.store, number(text), person, self.clock())
        if found is None:
            raise HTTPException(404)
        return found

    def papers(self, person: Person, case: Case) -> Papers:
        """Return decisions, marks, results and documents of an inspection."""
        sha256, number = case.filed.scan_sha256, case.filed.id
        return Papers(
            decisions.of_inspection(self.store, number),
            marks.of_inspection(self.store, number),
            outcomes.of_inspection(self.store, number),
            records.papers_of_scan(self.store, sha256),
            records.passages(self.store, person, sha256),
        )

    def cases_after(self, person: Person, after: int, limit: int) -> tuple[Case, ...]:
        """Return inspections filed after one, oldest first."""
        return records.cases_after(self.store, person, after, limit, self.clock())

    def decisions_after(self, person: Person, after: int, limit: int) -> tuple[Decision, ...]:
        """Return decisions after one, oldest first."""
        ids = records.decision_ids_after(self.store, person, after, limit)
        wanted = {decision for decision, _ in ids}
        found = [
            decision
            for inspection in sorted({inspection for _, inspection in ids})
            for decision in decisions.of_inspection(self.store, inspection)
            if decision.id in wanted
        ]
        return tuple(sorted(found, key=lambda decision: decision.id))

    def sees_scan(self, person: Person, scan_sha256: str) -> bool:
        """Tell whether a person may see the pixels of a scan."""
        if person.sites is None:
            return True
        sites = records.sites_of_scan(self.store, scan_sha256)
        return any(person.sees(site) for site in sites)

    def kept(self, scan_sha256: str) -> KeptScan:
        """Return the files of a scan.

        Raises:
            HTTPException: 404 where there is no such scan.
        """
        found = scans.get(self.store, scan_sha256)
        if found is None:
            raise HTTPException(404)
        return found

    def inspections_of(self, scan_sha256: str) -> tuple[int, ...]:
        """Return the ids of the inspections of a scan."""
        return records.inspections_of_scan(self.store, scan_sha256)

    def site_names(self) -> dict[int, str]:
        """Return the name of each site."""
        return records.site_names(self.store)

    def sites_of(self, person: Person) -> list[tuple[int, str]]:
        """Return the sites that a person sees."""
        return [each for each in self.site_names().items() if person.sees(each[0])]

    def scanners_of(self, person: Person) -> list[tuple[int, str]]:
        """Return the scanners that a person sees."""
        return list(records.scanner_names(self.store, person).items())

    def groups(self) -> tuple[str, ...]:
        """Return the groups of experts."""
        return records.group_names(self.store)

    def still_there(self, person: Person) -> bool:
        """Tell whether a listener may go on: the session still lives, the account is open."""
        return auth.still_there(self.store, self.settings.sessions, person, self.clock())
