"""When each path has something to do next, read from the store alone.

Apart from the paths themselves, which need cryptography: an agent that waits has not loaded that.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from box_agent.chance import HOUR_MS
from box_agent.store import Door
from shared.clock import to_ms
from shared.weeks import Week

PLANNED, ASKED = "planned", "asked"
"""The states of a week's asking for tokens that still lead somewhere; see `box_agent.refill`."""
BACKOFF_MOST_MS = 6 * HOUR_MS
"""No attempt on the named line waits longer for its next."""
WAITING = "waiting"
"""The verdict of a week's directory that has not been compared yet; see `box_agent.wallet`."""


def named_due_ms(door: Door) -> int | None:
    """When something is due on the named line; None if this box has not been enrolled, 0 at once."""
    duties = {name: int(at) for name, at in door.rows("SELECT name, due_ms FROM duties")}
    if "heartbeat" not in duties:
        return 0 if door.row("SELECT 1 FROM identity WHERE box IS NOT NULL") else None
    due = [at for name, at in duties.items() if name != "submit"]
    if unacknowledged(door):
        due.append(duties.get("submit", 0))
    return min(due, default=None)


def bring_forward(door: Door, now_ms: int, period_ms: int) -> None:
    """Make due now what the named line owes later than it ever would: it was planned by a clock ahead."""
    longest = max(period_ms, BACKOFF_MOST_MS)
    door.write("UPDATE duties SET due_ms = ? WHERE due_ms > ?", (now_ms, now_ms + longest))


def unacknowledged(door: Door) -> bool:
    """Whether something in the chain is not acknowledged."""
    return door.row("SELECT 1 FROM head WHERE acked < seq") is not None


def asked_state(door: Door, week: Week) -> str | None:
    """How the asking of a week stands: planned, asked, granted, refused or missed."""
    row = door.row("SELECT state FROM asks WHERE week = ?", (str(week),))
    return row[0] if row else None


def refill_due_ms(door: Door, zone: ZoneInfo, now: datetime, *, covered: bool) -> int:
    """When something is due: a plan for this week if it is `covered`, an asking, or the next week's plan."""
    week = Week.of(now, zone)
    if covered and asked_state(door, week) is None:
        return to_ms(now)
    row = door.row("SELECT min(due_ms) FROM asks WHERE state IN (?, ?)", (PLANNED, ASKED))
    next_week = to_ms(week.end(zone))
    return next_week if row is None or row[0] is None else min(next_week, int(row[0]))


def is_rolled_up(door: Door, week: Week) -> bool:
    """Whether a week's viewing has become fragments, or was deleted without."""
    return door.row("SELECT 1 FROM rolled WHERE week = ?", (str(week),)) is not None


def owes_roll_up(door: Door, week: Week, zone: ZoneInfo) -> bool:
    """Whether a week that has ended left anything that is neither told nor deleted yet."""
    end_ms = to_ms(week.end(zone))
    left = door.row(
        "SELECT 1 FROM viewing WHERE first_ms < ? UNION ALL SELECT 1 FROM ordered WHERE at_ms < ?"
        " UNION ALL SELECT 1 FROM directories WHERE week = ?",
        (end_ms, end_ms, str(week)),
    )
    return left is not None and not is_rolled_up(door, week)


def outbox_due_ms(door: Door) -> int | None:
    """When something is due on the anonymous line, apart from the start of the next week."""
    rows = door.rows(
        "SELECT min(due_ms) FROM outbox UNION ALL SELECT min(coalesce(relay_ms, 0)) FROM directories"
        " WHERE verdict = ? AND week NOT IN (SELECT week FROM wallet WHERE pending IS NOT NULL)",
        (WAITING,),
    )
    return min((row[0] for row in rows if row[0] is not None), default=None)
