"""How the agent stands, gathered for the household or the operator's engineer beside the box."""

import os
from pathlib import Path
from typing import Any

from box_agent.alarms import Alarms
from box_agent.consent import Consent
from box_agent.store import ANONYMOUS_TABLES, MOST_PAGES, NAMED_TABLES, PAGE_SIZE, Store
from shared.clock import from_ms
from shared.notice_version import notice_version


def status(store: Store, consent: Consent, week: str, asked: str | None) -> dict[str, Any]:
    """The agent's state by path (chain and catalogue, consent and queue, alarms), and room on the disk."""
    return {
        "named": _named(store),
        "anonymous": _anonymous(store, consent) | {"week": week, "tokens": asked},
        "store": _room(store),
    }


def _named(store: Store) -> dict[str, Any]:
    door = store.door(NAMED_TABLES)
    box, epoch = door.row("SELECT box, epoch FROM identity") or (None, None)
    seq, acked = door.row("SELECT seq, acked FROM head") or (0, 0)
    catalogue = door.row("SELECT version FROM catalogue")
    return {
        "enrolled": box is not None,
        "box": box,
        "epoch": epoch,
        "last_seq": seq,
        "acknowledged": acked,
        "catalogue": catalogue[0] if catalogue else None,
        "alarms": Alarms(door, "named").standing(),
    }


def _anonymous(store: Store, consent: Consent) -> dict[str, Any]:
    door = store.door(ANONYMOUS_TABLES)
    answer = consent.answer
    return {
        "consent": answer.granted,
        "recording": consent.active(),
        "notice": notice_version(),
        "since": from_ms(answer.since_ms).isoformat() if answer.since_ms else None,
        "reminder_due": from_ms(answer.reminder_due_ms).isoformat() if answer.granted else None,
        "pin": door.row("SELECT 1 FROM pin") is not None,
        "refusal_owed": consent.owes,
        "alarms": Alarms(door, "anonymous").standing(),
    }


def _room(store: Store) -> dict[str, Any]:
    held = (Path(f"{store.path}{suffix}") for suffix in ("", "-wal"))
    disk = os.statvfs(Path(store.path).parent)
    return {
        "bytes": sum(path.stat().st_size for path in held if path.exists()),
        "most_bytes": MOST_PAGES * PAGE_SIZE,
        "free_bytes": disk.f_bavail * disk.f_frsize,
    }
