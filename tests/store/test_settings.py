"""Claims about settings that stand in the store."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from nii.errors import ConfigError
from nii.inspection import Level
from nii.store import audit, queue, settings, tables
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.queue import QueueSettings

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROOT = Actor("root")


def test_settings_come_back_and_changes_are_logged(store: Store) -> None:
    """Defaults hold until something is set; only a change is an event."""
    assert settings.get(store, queue.SETTINGS, QueueSettings) == QueueSettings()
    changed = QueueSettings(audit_share=0.5, second_from=Level.SEARCH)
    for _ in range(2):
        settings.put(store, queue.SETTINGS, changed, ROOT, NOON)
    assert settings.get(store, queue.SETTINGS, QueueSettings) == changed
    (event,) = audit.events_after(store, 0)
    assert event.kind == audit.SETTINGS_CHANGED
    assert event.payload["new"]["audit_share"] == 0.5
    assert audit.verify(store).intact


def test_settings_that_do_not_fit_are_refused(store: Store) -> None:
    """What is stored of another version is named, not guessed."""
    with store.write() as connection:
        row = {"name": queue.SETTINGS, "value": '{"colour":1}', "changed_at": "now"}
        connection.execute(sa.insert(tables.settings).values(row))
    with pytest.raises(ConfigError, match="colour"):
        settings.get(store, queue.SETTINGS, QueueSettings)


def test_the_draw_key_is_made_once_and_never_logged(store: Store) -> None:
    """Draws of one store hang on one secret, which no event tells."""
    keys = set()
    for _ in range(2):
        with store.write() as connection:
            keys.add(settings.draw_key(connection, NOON))
    (key,) = keys
    assert len(key) == 32
    assert audit.head(store).number == 0


@pytest.mark.parametrize(
    "wrong", [{"audit_share": 1.1}, {"blind_share": -0.1}, {"claim_minutes": 0.0}]
)
def test_impossible_rules_are_refused(wrong: dict[str, float]) -> None:
    """A share lies in 0 to 1, a claim lasts."""
    with pytest.raises(ValueError, match=r"share|claim"):
        QueueSettings(**wrong)  # type: ignore[arg-type]
