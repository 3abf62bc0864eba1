"""What pages and API share: the store at hand, who may see what in it, and what can be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from nii.errors import NiiError
from nii.inspection import Inspection
from nii.review import asked as asking
from nii.review import auth, records, terms
from nii.review.asked import Asked, number
from nii.review.auth import Person, SessionSettings
from nii.review.guard import LOOPBACK_HOSTS
from nii.review.language import Tongue
from nii.review.pictures import Pictures
from nii.review.records import Case, Page, Papers, Row
from nii.store import (
    audit,
    claims,
    decisions,
    documents,
    inspections,
    marks,
    outcomes,
    queue,
    reasons,
    scans,
    settings,
    users,
    waiting,
)
from nii.store.claims import Ask
from nii.store.database import Store
from nii.store.decisions import Decision, Opinion, Verdict
from nii.store.marks import KeptMark, Mark, Sign
from nii.store.outcomes import KeptOutcome, Outcome
from nii.store.queue import QueueSettings, Why
from nii.store.scans import KeptScan
from nii.store.users import User

__all__ = ["Asked", "Case", "Desk", "Page", "Papers", "ReviewSettings", "Row", "number"]
_LONGEST_LOOK_S = 86_400.0


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """Settings of the web app."""

    hosts: tuple[str, ...] = LOOPBACK_HOSTS
    """Host names under which it may be asked, without port."""
    page_size: int = 30
    """Inspections on one page of the queue."""
    prepared: int = 2
    """Scans at the head of the queue whose pixels are made ready before somebody opens them."""
    pictures: Path | None = None
    """Folder for drawn pictures; None puts it beside the folder of original files."""
    break_minutes: int = 20
    """Viewing time after which a break is advised; 0 never advises one."""
    evidence_key: Path | None = None
    """Private key that evidence packages are signed with; None leaves them unsigned."""
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
        query = wanted.query(person.sites)
        items = queue.page(self.store, query)
        counts = queue.counts(self.store, query)
        filtered = wanted.level is not None or wanted.class_name is not None
        now = self.clock()
        names = records.names(self.store, tuple(item.scan_sha256 for item in items))
        rows = (records.row(item, person, names, now) for item in items)
        return Page(
            tuple(row for row in rows if not (filtered and row.level == "blind")),
            {level.value: count for level, count in counts.items()},
            items[-1].cursor if len(items) == query.limit else None,
        )

    def head(self, person: Person) -> tuple[str, ...]:
        """Return the identities of the scans that a person is likely to open next; no counts."""
        if not self.settings.prepared:
            return ()
        query = replace(self.asked({}).query(person.sites), limit=self.settings.prepared)
        return tuple(item.scan_sha256 for item in queue.page(self.store, query))

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
            documents.of_scan(self.store, sha256),
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

    def reasons(self, speak: Tongue) -> list[tuple[str, str, str]]:
        """Return code, words and verdict of each reason, in the order in which they are shown."""
        return [
            (code, speak.say(reasons.meaning(verdict, code)), verdict)
            for verdict in terms.VERDICTS
            for code in reasons.codes(verdict)
        ]

    def rules(self) -> QueueSettings:
        """Return how the queue is run."""
        return settings.get(self.store, queue.SETTINGS, QueueSettings)

    # ── what is done ──────────────────────────────────────────────────────────────────────────

    def next_scan(self, person: Person) -> int | None:
        """Claim the scan that this person should look at next; None where nothing waits."""
        item = claims.next_for(self.store, self._user(person), self.clock())
        return None if item is None else item.inspection_id

    def claim(self, person: Person, case: Case) -> datetime:
        """Claim a scan, or keep it for longer; return until when.

        Raises:
            NiiError: another officer has claimed it.
            NiiError: this person may not decide on it now.
        """
        item = claims.claim(self.store, case.filed.id, self._user(person), self.clock())
        return item.claim.until if item.claim else self.clock()

    def release(self, person: Person, case: Case) -> None:
        """Give a claimed scan back undecided.

        Raises:
            NiiError: another officer has claimed it, and this one is no supervisor.
        """
        claims.release(self.store, case.filed.id, self._user(person), self.clock())

    def recheck(self, person: Person, case: Case) -> None:
        """Ask for another look by somebody else.

        Raises:
            NiiError: it is claimed by another.
        """
        ask = Ask(Why.SECOND)
        claims.ask(self.store, case.filed.id, ask, self._user(person), self.clock())

    def decide(self, person: Person, case: Case, fields: Mapping[str, Any]) -> Decision:
        """Add the decision that a form or a JSON document describes.

        Raises:
            NiiError: another officer has claimed the scan.
            NiiError: a field is missing or odd, or the store refuses it.
        """
        verdict, code = fields.get("verdict"), str(fields.get("reason_code") or "")
        if verdict not in list(Verdict):
            raise NiiError(
                "decision",
                found=f"the verdict {str(verdict)[:40]!r}",
                expected=f"one of {', '.join(Verdict)}",
                remedy="Choose one of the four.",
            )
        reason = str(fields.get("reason") or "")
        if case.blind and verdict == Verdict.RELEASE and not (code or reason.strip()):
            # Asked of every blind release, so that the question tells nothing about the model.
            raise NiiError(
                "decision",
                found="a release without reason",
                expected="a reason code, because the model's regions are not shown",
                remedy="Say what you saw.",
            )
        seen, seconds = fields.get("seen"), fields.get("seconds")
        opinion = Opinion(
            verdict=Verdict(verdict),
            officer=person.name,
            reason=reason,
            user_id=person.id,
            reason_code=code,
            seconds=None if seconds is None else float(seconds),
            group=str(fields.get("group") or ""),
            seen=int(seen) if isinstance(seen, int) else None,
        )
        return decisions.add(self.store, case.filed.id, opinion, self.clock())

    def mark(self, person: Person, case: Case, fields: Mapping[str, Any]) -> KeptMark:
        """Say what a region is, draw one, or withdraw what was said.

        Raises:
            NiiError: the parts do not go together, or there is no such region or mark.
        """
        if case.blind and fields.get("region_number") is not None:
            raise HTTPException(404)
        box = None
        if fields.get("box_xyxy") is not None:
            left, top, right, bottom = map(float, fields["box_xyxy"])
            box = (left, top, right, bottom)
        mark = Mark(
            Sign(fields["mark"]),
            _whole(fields.get("region_number")),
            fields.get("class_name") or "",
            box,
            fields.get("remark") or "",
            _whole(fields.get("withdraws")),
        )
        return marks.add(self.store, case.filed.id, mark, person.actor, self.clock())

    def outcome(self, person: Person, case: Case, fields: Mapping[str, Any]) -> KeptOutcome:
        """Add what the physical examination found.

        Raises:
            NiiError: a text does not hold.
        """
        now = self.clock()
        outcome = Outcome(
            fields["found"],
            now,
            fields.get("class_name") or "",
            fields.get("quantity") or "",
            fields.get("remark") or "",
        )
        return outcomes.add(self.store, case.filed.id, outcome, person.actor, now)

    def seconds_since(self, opened: str) -> float | None:
        """Return the seconds since a time that a form brings back; None where it is none."""
        try:
            at = datetime.fromisoformat(opened[:40])
        except ValueError:
            return None
        if at.tzinfo is None:
            return None
        seconds = (self.clock() - at).total_seconds()
        return round(seconds, 3) if 0.0 <= seconds <= _LONGEST_LOOK_S else None

    def viewed(self, person: Person, case: Case, items: list[dict[str, Any]]) -> None:
        """Log what was shown and switched on."""
        payload = {"items": items, "by": person.actor.to_json()}
        audit.log(self.store, audit.Entry(audit.VIEWED, case.filed.id, payload), self.clock())

    def opened(self, person: Person, case: Case) -> None:
        """Log that somebody opened an inspection, and whether its regions were shown."""
        facts = {"opened": True, "blind": case.blind, "by": person.actor.to_json()}
        audit.log(self.store, audit.Entry(audit.VIEWED, case.filed.id, facts), self.clock())

    def push(
        self, person: Person, paths: Sequence[Path], found: Inspection | None
    ) -> dict[str, Any]:
        """Store a scan that a program brought, with its inspection if there is one."""
        kept, now = scans.keep(self.store, paths), self.clock()
        if found is not None:
            filed = inspections.add(self.store, kept, found, now)
            return {"sha256": kept.sha256, "inspection_id": filed.id, "waiting": False}
        payload = {"scan_sha256": kept.sha256, "by": person.actor.to_json()}
        with self.store.write() as connection:
            scans.register(connection, kept, now)
            audit.append(connection, audit.Entry(waiting.PUSHED, None, payload), now)
        return {"sha256": kept.sha256, "inspection_id": None, "waiting": True}

    def set_language(self, person: Person, code: str) -> None:
        """Keep the language of somebody's pages."""
        users.set_language(self.store, person.id, code)

    def _user(self, person: Person) -> User:
        user = users.get(self.store, person.id)
        if user is None:
            raise HTTPException(403)
        return user


def _whole(value: Any) -> int | None:  # noqa: ANN401
    """Return a number as JSON may give it, 1 or 1.0, as a whole one."""
    return None if value is None else int(value)
