"""Evenings of one real box that watches, orders and sends, with an honest clock or with one that lies.

As tests.campaigns.box_life, and viewing besides: each step is twenty minutes of something with an order in
the middle of it. A kill takes both sides at once, like a power cut: the next process is another start of the
box. What is viewed may be lost as docs/box.md says, and is never more than what the script let pass.
"""

import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from box_agent.app import Agent
from box_agent.core import Core
from box_agent.events import Event, Item
from box_agent.recorder import BUFFER_SECONDS, SIGN_SECONDS
from box_agent.sessions import clock_minutes, settle
from headend.billing.sqlite import SqliteBilling
from shared import dsse
from shared.clock import Clock, from_ms
from shared.notice_version import notice_version
from tests.box_agent.fakes import ZONE, FakeRelay, settings
from tests.builders import CATALOGUE_KEY, GOOD, NOW_MS
from tests.campaigns.box_life import CODE, EVENING, BoxLife, DirectLine, check_box
from tests.campaigns.headend_life import Say

STEP_S = 30 * 60
VIEWED_S = 20 * 60
HOUR_S = 3600
LIES_S = (0, 2 * HOUR_S, -3 * HOUR_S, 20 * HOUR_S, 400)
"""How far the wall clock is off in each step; it jumps in the middle of the step before."""
GENRES = ("news", "sports", "children")


class ScriptClock:
    """Time as the script has it, in seconds since it began; the wall clock may be off."""

    def __init__(self, *, lies: bool) -> None:
        self.seconds = 0.0
        self._lies = lies

    def now(self) -> datetime:
        step = int((self.seconds + STEP_S / 3) // STEP_S)
        off = LIES_S[min(step, len(LIES_S) - 1)] if self._lies else 0
        return from_ms(NOW_MS + round((self.seconds + off) * 1000))

    def monotonic(self) -> float:
        return self.seconds


class AgentLife(BoxLife):
    """The script; see `tests.campaigns.kill` for how it is run."""

    lies = False

    def __init__(self, folder: Path, say: Say) -> None:
        super().__init__(folder, say)
        self.agent.park()
        self.script = ScriptClock(lies=self.lies)
        self.agent = _agent(folder, self.store, self.script)

    def run(self) -> None:
        if not self.agent.status()["named"]["enrolled"]:
            self.agent.enrol(CODE)
        self.say("enrolled", CODE)
        self.agent.set_consent(granted=True, notice=notice_version(), how="campaign")
        self.say("consented", notice_version())
        self.agent.tick()
        for number, (name, promoted) in enumerate(EVENING):
            if name not in {kept.offer for kept in self.agent.orders()}:
                self.step(number, name, promoted)
        self.script.seconds = (len(EVENING) + 1) * STEP_S
        self.agent.tick()
        self.agent.park()
        self.store.close()

    def step(self, number: int, name: str, promoted: str | None) -> None:
        start = number * STEP_S
        self.script.seconds = start
        item = Item(kind="live", genre=GENRES[number % len(GENRES)], ref=f"svc-{number}")
        self.agent.report(Event(event="play", item=item))
        for minute in range(1, VIEWED_S // 60):
            self.script.seconds = start + minute * 60
            self.agent.report(Event(event="key" if minute % 5 == 0 else "progress"))
            if minute % 4 == 0:
                self.agent.tick()
            if minute == 10:
                placed = self.agent.place_order(name, GOOD, promoted)
                self.say("yes", [placed.seq, placed.offer])
        self.script.seconds = start + VIEWED_S
        self.agent.report(Event(event="stop"))
        self.agent.flush()
        self.say("viewed", number)


class LyingLife(AgentLife):
    """The same under a clock that jumps by hours, both ways."""

    lies = True


def _agent(folder: Path, store: SqliteBilling, clock: Clock) -> Agent:
    pinned = dsse.public_to_text(CATALOGUE_KEY.public_key())
    given = settings(folder / "box", catalogue_key=pinned)
    core = Core(given.state_dir, given.consent_witness(), clock, str(os.getpid()))
    return Agent(given, (DirectLine(store, clock), FakeRelay(clock)), clock, core=core)  # type: ignore[arg-type] # a clock is all they ask of it


def viewed_minutes(folder: Path, *, lies: bool) -> int:
    """How many clock minutes the box would tell of."""
    script = ScriptClock(lies=lies)
    script.seconds = (len(EVENING) + 2) * STEP_S
    given = settings(folder / "box")
    core = Core(given.state_dir, given.consent_witness(), script, "a look")
    runs = [run.events for run in core.recorder.runs()]
    until = NOW_MS + 40 * HOUR_S * 1000
    found = clock_minutes(settle([*runs, []], until, until)[0], ZONE)
    assert len({minute.number for minute in found}) == len(found)
    assert core.store.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)
    core.store.park()
    return len(found)


def check_agent(folder: Path, told: list[tuple[str, Any]], *, lies: bool) -> None:
    """After a kill: the orders as `check_box` says, and viewing within its bounds."""
    check_box(folder, told)
    minutes = viewed_minutes(folder, lies=lies)
    kills = told.count(("killed", None))
    finished = {what for kind, what in told if kind == "viewed"}
    most = len(EVENING) * VIEWED_S // 60 + 2 * len(EVENING) * (1 + kills)
    assert minutes <= most, f"{minutes} minutes of at most {most}"
    if not lies:
        least = len(finished) * VIEWED_S // 60 - kills * (BUFFER_SECONDS + SIGN_SECONDS) // 60
        assert minutes >= least, f"{minutes} minutes of at least {least}"
    if any(kind == "consented" for kind, _ in told):
        given = settings(folder / "box")
        core = Core(given.state_dir, given.consent_witness(), ScriptClock(lies=lies), "a look")
        assert core.consent.answer.granted, "a consent that was answered is gone"
        core.store.park()


_STANDS = "seq, account, state, reason, price_cents, credit_cents"
_BOOKED = "entry, kind, account, ref, text, unbilled, receivable, revenue, vat, rounding"


def agent_outcome(folder: Path) -> str:
    """What the evenings have come to: orders and entries, without the times that a clock told."""
    store = SqliteBilling(folder / "billing.db")
    db = store.storage.read()
    agent = _agent(folder, store, ScriptClock(lies=False))
    found = [
        *(tuple(row) for row in db.execute(f"SELECT {_STANDS} FROM orders ORDER BY seq")),
        *(tuple(row) for row in db.execute(f"SELECT {_BOOKED} FROM entries ORDER BY entry")),
        *((kept.seq, kept.offer, kept.outcome, kept.acknowledged) for kept in agent.orders()),
    ]
    agent.park()
    store.close()
    return hashlib.sha256(repr(found).encode()).hexdigest()
