"""Words for what decisions, queues and accounts are made of, as the pages say them."""

from __future__ import annotations

from nii.review.language import Tongue

VERDICTS = {
    "release": "Release",
    "inspect": "Inspect (open it)",
    "refer": "Refer",
    "rescan": "Scan again",
}
WHYS = {
    "new": "new",
    "second": "second opinion",
    "recheck": "check by a supervisor",
    "group": "group of experts",
    "audit": "audit sample",
}
STATES = {"open": "waiting", "decided": "decided", "superseded": "replaced by a newer inspection"}
ROLES = {
    "officer": "officer",
    "supervisor": "supervisor",
    "administrator": "administrator",
    "auditor": "auditor (sees, decides nothing)",
}
ACCOUNT_STATES = {
    "active": "in use",
    "new": "one-time password not changed yet",
    "locked": "locked after wrong passwords",
    "disabled": "closed",
}
SCOPES = {
    "read": "see scans, findings and decisions",
    "decide": "decide, mark, enter results",
    "supervise": "ask for another look",
    "push": "bring scans",
    "events": "follow events",
    "numbers": "see numbers",
    "log": "read the whole log",
}
DOCUMENTS = {
    "container": "Container",
    "wagon": "Wagon",
    "plate": "Number plate",
    "manifest": "Manifest",
    "goods": "Goods",
    "test": "Test",
}
MARKS = {
    "confirmed": "confirmed",
    "rejected": "rejected",
    "wrong_box": "wrong box",
    "drawn": "drawn by an officer",
    "withdrawn": "withdrawn",
}
GUARANTEES = {
    "holds": "holds",
    "suspended": "suspended",
    "none": "none for this scan",
}
SCRIPT = {
    "no_viewer": "The viewer cannot run here.",
    "drawn": "your box is stored",
    "withdrawn": "your box is withdrawn",
}
TABLES = (
    VERDICTS,
    WHYS,
    STATES,
    ROLES,
    ACCOUNT_STATES,
    SCOPES,
    DOCUMENTS,
    MARKS,
    GUARANTEES,
    SCRIPT,
)


def said(tongue: Tongue, table: dict[str, str]) -> dict[str, str]:
    """Return a table of words in a language."""
    return {key: tongue.say(text) for key, text in table.items()}
