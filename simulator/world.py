"""The world: a headend, a relay, workers that play the town, one clock, and what may happen to them.

What may never happen is stated in `simulator.invariants`. What is no failure: a line that is down, an agent
or a headend that is killed, an interval that misses the truth once in twenty. What chance does here is
seeded, but for the randomness that protects people, which comes from the system.
"""

import csv
import io
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import msgspec

from shared.clock import from_ms, to_ms
from shared.errors import StbError
from shared.system_clock import ClockSteerer
from shared.weeks import Week
from simulator.adversary import Adversary
from simulator.by_hand import Attempt
from simulator.fleet import Fleet, Plan
from simulator.moves import Moves
from simulator.offers import make_promotions, make_titles
from simulator.processes import Headend, RelayProcess, wait_until
from simulator.resident import Account
from simulator.town import AREAS, REGIONS, Household, Town
from simulator.truth import MeasureTruth

STEP = timedelta(hours=1)
ISSUER = "telemetry.example"
SETTLE = timedelta(hours=12)
"""How long after the last week has closed the town goes on, so that what is on its way can arrive."""
BEHIND = 10
"""Niceness of the workers: the headend and the relay that they wait for go first."""
ADVERSARY_ACCOUNT = "MALLORY"
ADVERSARY_BOXES = 2
SELLERS = (
    ("NL", "Voorbeeld Televisie B.V.", "NL001234567B01", "Voorbeeldstraat 1", "1012 AB", "Amsterdam"),
    ("BE", "Voorbeeld Televisie NV", "BE0123456749", "Rue de l'Exemple 1", "1000", "Bruxelles"),
)
"""Who bills in each country: name, VAT number, street, postcode, city; all invented."""
_PARTICULARS = ("--name", "--vat-number", "--street", "--postcode", "--city")
MOVES_AT, RESALES_AT = 0.35, 0.55
"""When boxes change hands, in parts of the whole time."""
Progress = Callable[[str, float], None]


class WorldError(StbError):
    """The simulation itself went wrong."""


@dataclass(frozen=True)
class Setup:
    """What is played.

    `weeks` are whole weeks from `first_week` on; after the last one the town lives on until that week has
    closed. `kills` are SIGKILLs to headend and relay while it plays.
    """

    folder: Path
    boxes_folder: Path
    seed: int
    households: int
    weeks: int = 6
    first_week: Week = field(default_factory=lambda: Week(2026, 41))
    profile: str = "small"
    zone: str = "Europe/Amsterdam"
    faults: str = "default"
    taste: str = ""
    workers: int = 3
    remotes: int = 5
    films: int = 400
    games: int = 60
    kills: bool = True
    adversary: bool = True
    record: bool = False


@dataclass
class Outcome:
    """What came of it, before anybody has judged it."""

    setup: Setup
    headend: Headend
    relay: RelayProcess
    account: Account
    attempts: list[Attempt]
    killed: list[str]
    end: datetime


class World:
    """Builds everything, plays it, and leaves headend and relay running."""

    def __init__(self, setup: Setup, progress: Progress) -> None:
        self.setup = setup
        self.zone = ZoneInfo(setup.zone)
        self._progress = progress
        self.start = setup.first_week.start(self.zone) - timedelta(days=3)
        last = setup.first_week.plus(setup.weeks - 1)
        self.end = last.closes(self.zone) + SETTLE
        self._clock_file = setup.folder / "clock"
        setup.folder.mkdir(parents=True)
        self._steerer = ClockSteerer(self._clock_file, self.start)
        self.headend = Headend(setup.folder / "headend")
        record = setup.folder / "anonymous-line.bin" if setup.record else None
        self.relay = RelayProcess(self.headend.url, record)
        self._workers: list[Connection] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._job_due: datetime | None = None
        self.killed: list[str] = []

    # --- building
    def build(self) -> dict[str, list[str]]:
        """Make the installation, its accounts, its catalogue and the boxes' codes; gives the codes."""
        folder = str(self.headend.folder)
        regions = self.setup.folder / "regions.toml"
        regions.write_text(_regions_toml())
        self.headend.command(
            "init",
            folder,
            *("--issuer", ISSUER, "--zone", self.setup.zone, "--profile", self.setup.profile),
            *("--regions", str(regions), "--simulated", "--clock", str(self._clock_file)),
        )
        homes = self._homes()
        accounts = self.setup.folder / "accounts.csv"
        rows: list[list[str]] = [
            [str(home.account), home.postal_area, home.zone, home.country, home.language] for home in homes
        ]
        accounts.write_text(_csv([*rows, [ADVERSARY_ACCOUNT, "10", self.setup.zone, "NL", "en"]]))
        self.headend.command("account", "import", folder, str(accounts))
        self._open_shop(folder)
        # As many codes for each as the largest home needs; what is not used expires.
        most = max(ADVERSARY_BOXES, *(len(home.boxes) for home in homes))
        names = [*(str(home.account) for home in homes), ADVERSARY_ACCOUNT]
        words = ("account", "code", folder, "-", "--count", str(most), "--json")
        codes: dict[str, list[str]] = json.loads(self.headend.command(*words, given="\n".join(names)))
        return codes

    def _open_shop(self, folder: str) -> None:
        for country, *particulars in SELLERS:
            words = [word for pair in zip(_PARTICULARS, particulars, strict=True) for word in pair]
            self.headend.command("seller", "set", folder, "--country", country, *words)
        setup, from_ms_ = self.setup, to_ms(self.start)
        titles = make_titles(Random(f"shop/{setup.seed}"), setup.films, setup.games, from_ms_)
        catalogue, promotions = (setup.folder / f"{name}.json" for name in ("catalogue", "promotions"))
        catalogue.write_bytes(msgspec.json.encode([title.offer for title in titles]))
        promotions.write_bytes(msgspec.json.encode(make_promotions(from_ms_, to_ms(self.end))))
        words = ["catalogue", "publish", folder, str(catalogue), "--promotions", str(promotions)]
        self.headend.command(*words)

    def _homes(self) -> list[Household]:
        town = Town(self.setup.seed, self.setup.households, self.setup.zone)
        return [town.household(number) for number in range(town.size)]

    def _plan(self, worker: int, pins: dict[str, str]) -> Plan:
        setup = self.setup
        remotes = setup.remotes // setup.workers + (worker < setup.remotes % setup.workers)
        return Plan(
            seed=setup.seed,
            households=setup.households,
            worker=worker,
            workers=setup.workers,
            faults=setup.faults,
            taste=setup.taste,
            films=setup.films,
            games=setup.games,
            profile=setup.profile,
            zone=setup.zone,
            issuer=ISSUER,
            headend_url=self.headend.url,
            relay_url=self.relay.url,
            directory_key=pins["directory_key"],
            catalogue_key=pins["catalogue_key"],
            folder=setup.boxes_folder,
            clock=self._clock_file,
            start_ms=to_ms(self.start),
            end_ms=to_ms(self.end),
            remotes=remotes,
        )

    def pins(self) -> dict[str, str]:
        """What every box pins."""
        text = self.headend.command(
            "box-settings",
            str(self.headend.folder),
            *("--headend-url", self.headend.url, "--relay-url", self.relay.url),
        )
        pairs = (line.partition(" = ") for line in text.splitlines())
        return {name: value.strip('"') for name, _, value in pairs}

    # --- playing
    def play(self) -> Outcome:
        """Everything, from the first box's enrolment until the last week has closed."""
        self._progress("building", 0)
        codes = self.build()
        self.headend.start()
        self.relay.start()
        pins = self.pins()
        mallory = (ADVERSARY_ACCOUNT, codes.pop(ADVERSARY_ACCOUNT))
        adversary = Adversary(self.headend, self.relay.url, mallory, pins)
        self._start_workers(pins, codes)
        attempts = self._live(adversary)
        account = self._finish()
        return Outcome(self.setup, self.headend, self.relay, account, attempts, self.killed, self.end)

    def _start_workers(self, pins: dict[str, str], codes: dict[str, list[str]]) -> None:
        by_box = {
            box.key: code
            for home in self._homes()
            for box, code in zip(home.boxes, codes[home.account], strict=False)
        }
        context = multiprocessing.get_context("spawn")
        for worker in range(self.setup.workers):
            here, there = context.Pipe()
            process = context.Process(
                target=serve_worker, args=(there, self._plan(worker, pins)), daemon=False
            )
            process.start()
            there.close()
            self._workers.append(here)
            self._processes.append(process)
        self._all("move_in", by_box)

    def _all(self, what: str, *values: object) -> list[object]:
        for connection in self._workers:
            connection.send((what, values))
        return [self._answer(connection) for connection in self._workers]

    @staticmethod
    def _answer(connection: Connection) -> object:
        try:
            ok, value = connection.recv()
        except EOFError as error:
            raise WorldError("a worker died") from error
        if not ok:
            raise WorldError(str(value))
        return value

    def _live(self, adversary: Adversary) -> list[Attempt]:
        attempts: list[Attempt] = []
        kills = self._kill_plan()
        moves = self._move_plan()
        first = self.setup.first_week
        weeks = [first.plus(number) for number in range(self.setup.weeks)]
        ends = {week.closes(self.zone) - STEP: week for week in weeks}
        calm_from = self.end - SETTLE
        visits = self._visits(adversary)
        for start, end in self._steps():
            while moves and moves[0][0] <= start:
                moves.pop(0)[1](to_ms(start))
            self._steerer.set(end - timedelta(milliseconds=1))
            if start >= calm_from:
                self._all("calm")
            while visits and visits[0][0] <= start:
                attempts += visits.pop(0)[1]()
            while kills and kills[0][0] <= start:
                self._kill(kills.pop(0)[1])
            self._all("run", to_ms(start), to_ms(end))
            for due, week in list(ends.items()):
                if end >= due:
                    self._all("close_week", week)
                    del ends[due]
            self._steerer.set(end)
            self._pass_jobs(end)
            self._progress(str(end.date()), (end - self.start) / (self.end - self.start))
        return attempts

    def _steps(self) -> Iterator[tuple[datetime, datetime]]:
        now = self.start
        while now < self.end:
            due = self._job_due
            end = min(now + STEP, self.end)
            if due is not None and now < due < end:
                end = due
            yield now, end
            now = end

    def _visits(self, adversary: Adversary) -> list[tuple[datetime, Callable[[], list[Attempt]]]]:
        if not self.setup.adversary:
            return []
        first = self.setup.first_week
        middle = timedelta(days=3, hours=12)
        visits: list[tuple[datetime, Callable[[], list[Attempt]]]] = [
            (self.start + timedelta(hours=6), adversary.move_in),
            (first.start(self.zone) + middle, lambda: adversary.on_the_named_line(first)),
            (first.end(self.zone) + middle, lambda: adversary.on_the_anonymous_line(first)),
        ]
        if self.setup.weeks > 1:
            visits.append((first.closes(self.zone) + middle, lambda: adversary.too_late(first)))
        return visits

    def _move_plan(self) -> list[tuple[datetime, Callable[[int], None]]]:
        accounts = [str(home.account) for home in self._homes()]
        if len(accounts) == 1:
            return []  # nobody else is there
        moves = Moves(self.headend, self._all, accounts, Random(f"moves/{self.setup.seed}"))
        span = self.end - self.start
        return [(self.start + span * MOVES_AT, moves.move), (self.start + span * RESALES_AT, moves.resell)]

    def _kill_plan(self) -> list[tuple[datetime, str]]:
        if not self.setup.kills:
            return []
        span = self.end - SETTLE - timedelta(days=2) - self.start
        parts = ("worker", "relay", "supervisor", "both")
        return [
            (self.start + span * (place + 1) / (len(parts) + 1), part) for place, part in enumerate(parts)
        ]

    def _kill(self, part: str) -> None:
        if part == "relay":
            self.relay.kill()
        else:
            self.headend.kill(part)
        self.killed.append(part)

    def _pass_jobs(self, now: datetime) -> None:
        """Wait until every job that is due now is recorded as done."""
        if self._job_due is not None and self._job_due > now:
            return

        def done() -> bool:
            due = from_ms(self.headend.readiness()["next_job_due_ms"])
            self._job_due = due
            return due > now

        wait_until(done, f"the jobs due at {now}", 120)

    def _finish(self) -> Account:
        accounts = self._all("finish")
        for process in self._processes:
            process.join()
        whole = Account()
        for part in accounts:
            assert isinstance(part, Account)  # noqa: S101 (that is what finish answers)
            _add(whole, part)
        return whole

    def stop(self) -> None:
        """End everything that runs."""
        for process in self._processes:
            if process.is_alive():
                process.terminate()
        self.relay.stop()
        self.headend.stop()
        shutil.rmtree(self.setup.boxes_folder, ignore_errors=True)


def _add(whole: Account, part: Account) -> None:
    whole.placed += part.placed
    whole.unpaid |= part.unpaid
    for key, truth in part.truth.items():
        whole.truth.setdefault(key, MeasureTruth()).add(truth)
    for name in ("fragments", "mishaps"):
        getattr(whole, name).update(getattr(part, name))
    for name in _SUMS:
        setattr(whole, name, getattr(whole, name) + getattr(part, name))


_SUMS = (
    "sent_while_refused",
    "kills",
    "events",
    "refused_without_pin",
    "box_days",
    "consenting",
    "moved",
    "resold",
    "updated",
)


def serve_worker(connection: Connection, plan: Plan) -> None:
    """A worker process: plays what it is told to, and answers (True, value) or (False, words)."""
    os.nice(BEHIND)
    fleet: Fleet | None = None
    try:
        fleet = Fleet(plan)
        while True:
            what, values = connection.recv()
            connection.send((True, getattr(fleet, what)(*values)))
            if what == "finish":
                return
    except EOFError:
        if fleet is not None:
            fleet.leave()
    except Exception as error:  # noqa: BLE001 (it reaches the world, which ends)
        import traceback  # noqa: PLC0415 (only then)

        connection.send((False, f"{type(error).__name__}: {error}\n{traceback.format_exc()}"))


def _csv(rows: list[list[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["account", "postal_area", "zone", "country", "language"], *rows])
    return buffer.getvalue()


def _regions_toml() -> str:
    regions = ", ".join(f'"{region}"' for region in REGIONS)
    areas = "".join(f'"{prefix}" = "{region}"\n' for prefix, region in sorted(AREAS.items()))
    return f"regions = [{regions}]\n\n[areas]\n{areas}"
