"""Many boxes on one clock: a worker plays its part of the town, step by step, with the agents' own code.

A step is half-open. The world moves the headend's clock to the step's end first, so that what a box does
within the step has happened already when the headend hears of it.
"""

import heapq
import os
import shutil
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from box_agent.app import Agent
from box_agent.events import pack, read_event
from box_agent.lines import HttpAnonymousLine, HttpNamedLine
from box_agent.settings import BoxSettings, check
from shared.clock import ManualClock, from_ms, to_ms
from shared.errors import StbError
from shared.notice_version import notice_version
from shared.register import profile
from shared.weeks import Week, day_start, viewing_day
from shared.words import words_of
from simulator.evenings import Evenings, Event, Outcome, Purchase, Report
from simulator.guide import Guide, Taste
from simulator.network import Faults, FaultyAnonymousLine, FaultyNamedLine, within
from simulator.offers import make_titles, open_shop
from simulator.old_box import OldAgent
from simulator.remote import AgentGoneError, AgentRefusedError, RemoteAgent
from simulator.resident import Account, Resident, SkewedClock
from simulator.till import Till
from simulator.town import Box, Household, Town, outages
from simulator.truth import REACH_INTO_MS, MeasureTruth, truth_of, viewed_in

MINUTE_MS = 60_000
HOW = "asked on screen"
CHANGE_OF_MIND = 0.03
"""Part of the consenting boxes that withdraw once; half of them consent again a week later."""
ENROL_TRIES = 20
KILL_CHANCE = 0.002
"""Chance of a SIGKILL in a step, for an agent that is a process of its own."""
UPDATED_AT = 0.5
"""Half of the old boxes are updated when so much of the time has passed."""


@dataclass(frozen=True)
class Plan:
    """What a worker has to know; plain values, so that it can be handed to another process."""

    seed: int
    households: int
    worker: int
    workers: int
    faults: str
    taste: str
    films: int
    games: int
    profile: str
    zone: str
    issuer: str
    headend_url: str
    relay_url: str
    directory_key: str
    catalogue_key: str
    folder: Path
    clock: Path
    start_ms: int
    end_ms: int
    remotes: int


class Fleet:
    """A worker's part of the town."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.zone = ZoneInfo(plan.zone)
        self.clock = ManualClock(from_ms(plan.start_ms))
        self.account = Account()
        self.faults = Faults.parse(plan.faults)
        self._calm = False
        self._random = Random(f"fleet/{plan.seed}/{plan.worker}")
        titles = make_titles(Random(f"shop/{plan.seed}"), plan.films, plan.games, plan.start_ms)
        offers = {title.offer.offer: title.offer for title in titles}
        self._till = Till(offers, self.account, self._random)
        self._evenings = Evenings(
            Guide(plan.seed, self.zone),
            open_shop(titles),
            Taste.parse(plan.taste),
            flawless=plan.faults == "none",
        )
        self._line = HttpNamedLine(plan.headend_url, None)
        self._today: list[tuple[int, int, Event]] = []
        self._today_from = 0
        self._place = 0
        self._remotes = 0
        self._updated = False
        self._update_ms = plan.start_ms + int((plan.end_ms - plan.start_ms) * UPDATED_AT)
        self._minds: list[tuple[int, int, bool]] = []
        self._measures = [
            measure for measure in profile(plan.profile).measures if "region" not in measure.grid
        ]
        self.residents = [self._settle(home, box) for home, box in self._boxes()]

    def _boxes(self) -> Iterator[tuple[Household, Box]]:
        for home in Town(self.plan.seed, self.plan.households, self.plan.zone).part(
            self.plan.worker, self.plan.workers
        ):
            for box in home.boxes:
                yield home, box

    def _settle(self, home: Household, box: Box) -> Resident:
        plan = self.plan
        # Processes of their own go to the first consenting homes, so that they have something to tell.
        remote = self._remotes < plan.remotes and box.consent
        state = plan.folder / "boxes" / box.key.replace("/", "-")
        settings = check(
            BoxSettings(
                headend_url=plan.headend_url,
                relay_url=plan.relay_url,
                issuer=plan.issuer,
                directory_key=plan.directory_key,
                catalogue_key=plan.catalogue_key,
                zone=plan.zone,
                postal_area=home.postal_area,
                serial=box.serial,
                state_dir=str(state),
                heartbeat_hours=336,
                simulated=True,
                steered_clock=str(plan.clock) if remote else None,
            )
        )
        state.mkdir(parents=True, exist_ok=True)
        if remote:
            self._remotes += 1
            return Resident(home, box, settings, RemoteAgent(settings), 0)
        return Resident(home, box, settings, self._agent(settings, box, old=box.old), box.skew_ms)

    def _agent(self, settings: BoxSettings, box: Box, *, old: bool = False) -> Agent:
        down = outages(box, self.plan.start_ms, self.plan.end_ms)

        def is_down() -> bool:
            return not self._calm and within(down, to_ms(self.clock.now()))

        mishaps = self.account.mishaps
        lines = (
            FaultyNamedLine(self._line, Random(f"{box.key}/named"), self.faults, is_down, mishaps),
            FaultyAnonymousLine(
                HttpAnonymousLine(settings.relay_url, None),
                Random(f"{box.key}/anonymous"),
                self.faults,
                is_down,
                mishaps,
            ),
        )
        kind = OldAgent if old else Agent
        return kind(settings, lines, SkewedClock(self.clock, box.skew_ms), os.urandom)

    # --- what the world asks for
    def move_in(self, codes: dict[str, str]) -> None:
        """Enrol every box and ask its household for consent; most never change their mind."""
        self._calm = True  # an installer sees to it that the home has a network
        for number, resident in enumerate(self.residents):
            self._enrol(resident, codes[resident.box.key])
            resident.accounts.append((0, str(resident.household.account)))
            if resident.box.consent:
                self._set_consent(resident, granted=True)
                self._plan_change(number)
        self._calm = False
        self.account.consenting = sum(resident.consents for resident in self.residents)

    def _enrol(self, resident: Resident, code: str) -> None:
        found: Any = self._until_heard(resident, code)
        if isinstance(found, dict):
            resident.enrolled = (found["box"], found["epoch"])
        else:
            resident.enrolled = (str(found.box), int(found.epoch))

    def _until_heard(self, resident: Resident, code: str) -> object:
        # An installer who is told that the line is down tries again.
        for _ in range(ENROL_TRIES):
            try:
                return resident.agent.enrol(code)
            except StbError:
                self.account.mishaps["enrolment tried again"] += 1
        return resident.agent.enrol(code)

    def _plan_change(self, number: int) -> None:
        random = Random(f"mind/{self.plan.seed}/{self.plan.worker}/{number}")
        if random.random() >= CHANGE_OF_MIND:
            return
        span = self.plan.end_ms - self.plan.start_ms
        at_ms = self.plan.start_ms + int(span * random.uniform(0.3, 0.6))
        self._minds.append((at_ms, number, False))
        if random.random() < 0.5:  # noqa: PLR2004 (every second one)
            self._minds.append((at_ms + 7 * 24 * 60 * MINUTE_MS, number, True))
        self._minds.sort()

    def _set_consent(self, resident: Resident, *, granted: bool) -> None:
        resident.agent.set_consent(granted=granted, notice=notice_version(), how=HOW)
        resident.consents = granted
        now_ms = to_ms(self.clock.now())
        (resident.granted_from if granted else resident.refused_from).append(now_ms)
        if not granted:
            resident.kept.clear()
            resident.ordered.clear()

    def movable(self, wanted: int) -> list[tuple[str, str, str]]:
        """Boxes that order, and whose orders have all arrived: key, box id and present account."""
        return self._settled(wanted, self.residents)

    def saleable(self, wanted: int) -> list[tuple[str, str, str]]:
        """Those of them that never consented, so that no week's truth goes with a reset."""
        return self._settled(wanted, [one for one in self.residents if not one.box.consent])

    def _settled(self, wanted: int, among: list[Resident]) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = []
        for resident in self._random.sample(among, len(among)):
            if len(found) == wanted:
                break
            orders = resident.household.orders.paid_films > 0 and not resident.box.index
            if orders and resident.settled():
                found.append((resident.box.key, resident.enrolled[0], resident.accounts[-1][1]))
        return found

    def moved(self, to: dict[str, str], at_ms: int) -> None:
        """The headend has bound these boxes, by their keys, to other accounts."""
        for resident in self._of(to):
            resident.accounts.append((at_ms, to[resident.box.key]))
            self.account.moved += 1

    def resold(self, to: dict[str, tuple[str, str]], at_ms: int) -> None:
        """Reset these boxes, by their keys, and enrol them for an account with its code."""
        calm, self._calm = self._calm, True  # an installer sees to it that the home has a network
        for resident in self._of(to):
            account, code = to[resident.box.key]
            resident.agent.close()
            shutil.rmtree(resident.settings.state())
            resident.agent = self._agent(resident.settings, resident.box, old=resident.old)
            self._enrol(resident, code)
            resident.accounts.append((at_ms, account))
            resident.refs.clear()
            self.account.resold += 1
        self._calm = calm

    def _of(self, keys: Container[str]) -> Iterator[Resident]:
        return (resident for resident in self.residents if resident.box.key in keys)

    def _update_boxes(self) -> None:
        for resident in [one for one in self.residents if one.old][::2]:
            resident.agent.close()
            resident.agent = self._agent(resident.settings, resident.box)
            self.account.updated += 1

    def calm(self) -> None:
        """From now on no home's network is down, so that what is on its way can arrive."""
        self._calm = True

    def run(self, from_ms_: int, until_ms: int) -> None:
        """Play everything from an instant up to, and without, another (Unix milliseconds)."""
        self._change_minds(until_ms)
        if not self._updated and until_ms >= self._update_ms:
            self._updated = True
            self._update_boxes()
        due = [
            (max(at_ms, from_ms_), number)
            for number, resident in enumerate(self.residents)
            if (at_ms := self._true_due(resident)) < until_ms
        ]
        heapq.heapify(due)
        for at_ms, number, event in self._events_until(until_ms):
            self._tick_until(due, at_ms, until_ms)
            self._move(at_ms)
            self._play(self.residents[number], event)
            self._plan_tick(due, number, at_ms, until_ms)
        self._tick_until(due, until_ms, until_ms)
        self._move(until_ms - 1)
        for resident in self.residents:
            if resident.remote is not None:
                self._tick_remote(resident.remote)

    def _move(self, at_ms: int) -> None:
        if at_ms > to_ms(self.clock.now()):
            self.clock.advance_to(from_ms(at_ms))

    def _true_due(self, resident: Resident) -> int:
        due = resident.agent.next_due()
        return 2**62 if due is None else to_ms(due) - resident.skew_ms

    def _plan_tick(self, due: list[tuple[int, int]], number: int, now_ms: int, until_ms: int) -> None:
        at_ms = max(self._true_due(self.residents[number]), now_ms)
        if at_ms < until_ms:
            heapq.heappush(due, (at_ms, number))

    def _tick_until(self, due: list[tuple[int, int]], limit_ms: int, until_ms: int) -> None:
        while due and due[0][0] <= limit_ms:
            at_ms, number = heapq.heappop(due)
            resident = self.residents[number]
            if self._true_due(resident) > at_ms:
                continue  # planned twice, and done
            self._move(at_ms)
            resident.agent.tick()
            # What is due again at once has met a fault; a real ticker comes back a little later too.
            self._plan_tick(due, number, at_ms + MINUTE_MS, until_ms)

    def _tick_remote(self, agent: RemoteAgent) -> None:
        try:
            if self._random.random() < KILL_CHANCE:
                agent.kill()
                agent.restart()
            agent.tick()
        except AgentGoneError:
            agent.restart()
        except AgentRefusedError:
            self.account.mishaps["tick refused"] += 1

    def _change_minds(self, until_ms: int) -> None:
        while self._minds and self._minds[0][0] < until_ms:
            at_ms, number, granted = self._minds.pop(0)
            self._move(at_ms)
            self._set_consent(self.residents[number], granted=granted)

    def _events_until(self, until_ms: int) -> Iterator[tuple[int, int, Event]]:
        while True:
            if self._place == len(self._today):
                day = viewing_day(self.clock.now() + timedelta(milliseconds=1), self.zone)
                if self._today and to_ms(day_start(day, self.zone)) <= self._today_from:
                    return
                self._load(day)
                if not self._today:
                    return
            if self._today[self._place][0] >= until_ms:
                return
            yield self._today[self._place]
            self._place += 1

    def _load(self, day: date) -> None:
        now_ms = to_ms(self.clock.now())
        self._today = sorted(
            (
                (event.at_ms, number, event)
                for number, resident in enumerate(self.residents)
                for event in self._day(resident, day)
                if event.at_ms >= now_ms
            ),
            key=lambda entry: entry[:2],
        )
        self._today_from = to_ms(day_start(day, self.zone))
        self._place = 0
        self.account.box_days += len(self.residents)

    def _day(self, resident: Resident, day: date) -> list[Event]:
        # Box software that knows of a refusal does not even ask the agent to record.
        of = self._evenings.day_events if resident.consents else self._evenings.day_orders
        return of(resident.household, resident.box, day)

    # --- what happens on a box
    def _play(self, resident: Resident, event: Event) -> None:
        self.account.events += 1
        match event:
            case Report(at_ms, body):
                self._report(resident, at_ms, body)
            case Purchase():
                self._till.purchase(resident, event)
            case Outcome():
                self._till.deliver(resident, event)

    def _report(self, resident: Resident, at_ms: int, body: dict[str, object]) -> None:
        if not resident.consents:
            return
        said = dict(body)
        said["at_ms"] = at_ms + resident.skew_ms
        event = read_event(said)
        if resident.agent.report(event):
            resident.kept.append((at_ms, pack(event)))

    # --- the truth
    def close_week(self, week: Week) -> None:
        """Add a week's truth, over the boxes whose fragments were counted; forget what is older."""
        start_ms, end_ms = to_ms(week.start(self.zone)), to_ms(week.end(self.zone))
        for resident in self.residents:
            told = _measures_told(resident, str(week))
            if told:
                if not resident.covered(start_ms, end_ms):
                    self.account.sent_while_refused += 1
                self._add_truth(resident, week, told)
            resident.kept = [pair for pair in resident.kept if pair[0] >= end_ms - REACH_INTO_MS]
            resident.ordered = [pair for pair in resident.ordered if pair[0] >= end_ms]

    def _add_truth(self, resident: Resident, week: Week, told: set[str]) -> None:
        start_ms, end_ms = to_ms(week.start(self.zone)), to_ms(week.end(self.zone))
        events = [raw for at_ms, raw in resident.kept if start_ms - REACH_INTO_MS <= at_ms < end_ms]
        viewed = viewed_in(events, resident.ordered, week, self.zone)
        for measure in self._measures:
            if measure.name in told:
                key = (str(week), measure.name)
                self.account.truth.setdefault(key, MeasureTruth()).add(truth_of(measure, viewed))

    def finish(self) -> Account:
        """What this part of the town tells at the end; stops processes of their own."""
        account = self.account
        for resident in self.residents:
            for sent in _sent(resident):
                account.fragments[sent[1]] += 1
            if resident.remote is not None:
                account.kills += resident.remote.kills
            resident.agent.close()
        account.truth = {
            key: MeasureTruth(dict(truth.amounts), dict(truth.reached), truth.boxes, truth.panel)
            for key, truth in account.truth.items()
        }
        self._line.close()
        return account

    def leave(self) -> None:
        """Stop the processes of one's own: the world has gone."""
        for resident in self.residents:
            if resident.remote is not None:
                resident.remote.close()


def _sent(resident: Resident) -> list[tuple[str, str, str]]:
    """Week, outcome and words of each fragment that left."""
    entries: list[Any] = list(resident.agent.sent())
    if resident.remote is not None:
        return [(entry["week"], entry["outcome"], entry["words"]) for entry in entries]
    return [(entry.week, entry.outcome, entry.words) for entry in entries]


def _measures_told(resident: Resident, week: str) -> set[str]:
    if not resident.granted_from:
        return set()
    called = {words: name for name, words in words_of("en").names.items()}
    return {
        called[words.split(":")[0]]
        for of, outcome, words in _sent(resident)
        if of == week and outcome == "counted"
    }
