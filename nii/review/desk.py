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
