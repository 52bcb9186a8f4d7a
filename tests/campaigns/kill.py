"""Kill -9 at every write point, then again during recovery: the outcome is what an undisturbed life gives.

    python -m tests.campaigns.kill            every point; pairs for some first kills; kills at any moment
    python -m tests.campaigns.kill --short    a sample of each

A life (tests.campaigns.headend_life, tests.campaigns.box_life) runs in a process of its own, which kills
itself at the n-th point. The next process looks at what it finds: the books hold, and nothing that anybody
was told is lost. Then it takes the life up again, and may be killed in its turn.
"""

import argparse
import json
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.campaigns.agent_life import AgentLife, LyingLife, agent_outcome, check_agent
from tests.campaigns.box_life import BoxLife, box_outcome, check_box
from tests.campaigns.headend_life import HeadendLife, check_headend, headend_outcome
from tests.campaigns.points import Points, watch
from tests.campaigns.world import SHM

LATE = (
    *("box_agent.identity", "box_agent.ordering", "box_agent.outbox", "box_agent.refill"),
    *("box_agent.submission", "box_agent.status", "box_agent.migrations", "headend.billing.formats.ubl"),
)
"""What lives import late: had by all processes from the first, so that they start fast."""
Told = list[tuple[str, Any]]


@dataclass(frozen=True)
class Life:
    """A scripted life: how it runs, what must hold after a kill, and what it comes to."""

    run: Callable[[Path, Callable[[str, Any], None]], None]
    check: Callable[[Path, Told], None]
    outcome: Callable[[Path], str]


LIVES = {
    "headend": Life(lambda folder, say: HeadendLife(folder, say).run(), check_headend, headend_outcome),
    "box": Life(lambda folder, say: BoxLife(folder, say).run(), check_box, box_outcome),
    "agent": Life(
        lambda folder, say: AgentLife(folder, say).run(), partial(check_agent, lies=False), agent_outcome
    ),
    "agent-lying": Life(
        lambda folder, say: LyingLife(folder, say).run(), partial(check_agent, lies=True), agent_outcome
    ),
}
BILLING = ("headend", "box")
"""The lives of a campaign that names none."""


@dataclass(frozen=True)
class Plan:
    """One trial: at which point each process is killed; a float is a moment in seconds after its start."""

    life: str
    kills: tuple[float, ...]


@dataclass
class Result:
    """What became of some trials."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def in_a_process(work: Callable[[Callable[[str, Any], None]], None], moment: float | None = None) -> Told:
    """Run it in a process of its own; gives what it told before it ended or was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _become(work, writing)
    os.close(writing)
    if moment is not None:
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().split(b"\n")[:-1]
    _, status = os.waitpid(child, 0)
    told: Told = [(kind, what) for kind, what in map(json.loads, lines)]
    return [*told, ("killed", None)] if os.WIFSIGNALED(status) else told


def _become(work: Callable[[Callable[[str, Any], None]], None], writing: int) -> None:
    def say(kind: str, what: Any) -> None:
        os.write(writing, json.dumps([kind, what]).encode() + b"\n")

    try:
        work(say)
    except BaseException:  # noqa: BLE001 (whatever it is, it is what this process has to tell)
        say("fault", traceback.format_exc())
    os._exit(0)


def lived(plan: Plan, folder: Path, kill_at: float | None, told: Told, watched: Path | None = None) -> Told:
    """One process: it looks at what it finds, and takes the life up until it is killed or done."""
    life = LIVES[plan.life]

    def work(say: Callable[[str, Any], None]) -> None:
        if told:
            life.check(folder, told)
        points = Points(None if isinstance(kill_at, float) else kill_at)
        watch(points)
        life.run(folder, say)
        say("outcome", life.outcome(folder))
        if watched is not None:
            watched.write_text(json.dumps(points.passed))

    return in_a_process(work, kill_at if isinstance(kill_at, float) else None)


def trial(plan: Plan, wanted: str) -> Result:
    """Kill as planned, recover, finish, and compare the outcome with what is wanted."""
    result, told = Result(), Told()
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
        folder = Path(name)
        for kill_at in (*plan.kills, None):
            told += lived(plan, folder, kill_at, told)
            killed = told[-1] == ("killed", None)
            result.counts["kills" if killed else "not reached"] += 1 if kill_at is not None else 0
            faults = [what for kind, what in told if kind == "fault"]
            if faults or not killed:
                break
            result.counts["recoveries"] += 1
        outcomes = {what for kind, what in told if kind == "outcome"}
    result.counts["trials"] += 1
    result.counts["same outcome"] += outcomes == {wanted}
    result.counts["told before a kill, and kept"] += sum(kind != "killed" for kind, _ in told)
    if faults or outcomes != {wanted}:
        result.faults.append(f"{plan}: {faults or 'another outcome'}")
    return result


def undisturbed(life: str) -> tuple[str, list[str]]:
    """The outcome of a life that nobody disturbs, and its write points."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
        watched = Path(name) / "points.json"
        folder = Path(name) / "life"
        folder.mkdir()
        told = lived(Plan(life, ()), folder, None, [], watched)
        outcomes = [what for kind, what in told if kind == "outcome"]
        if len(outcomes) != 1:
            raise SystemExit(f"{life}: {told}")
        return outcomes[0], json.loads(watched.read_text())


def plans(life: str, points: list[str], at: str | None, *, short: bool, moments: int = 100) -> Iterator[Plan]:
    """Every point; pairs of points for a sample of first kills; moments that nobody chose.

    With `at`, only points that it matches, and nothing else.
    """
    chance = random.Random(life)  # noqa: S311 (seeded, to be the same each time)
    every = [n for n, point in enumerate(points, 1) if re.search(at or "", point)]
    singles, firsts, seconds, moments = (14, 2, 2, 3) if short else (len(every), 5, 50, moments)
    for point in sorted(chance.sample(every, min(singles, len(every)))):
        yield Plan(life, (point,))
    if at is not None:
        return
    for first in sorted(chance.sample(every, firsts)):
        for second in sorted(chance.sample(every, seconds)):
            yield Plan(life, (first, second))
    for _ in range(moments):
        yield Plan(life, (chance.random() / 10, chance.random() / 20))


def campaign(life: str, at: str | None, *, short: bool, moments: int = 100) -> Result:
    """All trials of a life, on all cores; adds up what became of them."""
    for late in LATE:
        import_module(late)
    wanted, points = undisturbed(life)
    result = Result(Counter({"write points": len(points)}))
    started = time.monotonic()
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        planned = list(plans(life, points, at, short=short, moments=moments))
        for one in pool.map(trial, planned, [wanted] * len(planned), chunksize=8):
            result.counts += one.counts
            result.faults += one.faults
    result.counts["seconds"] = round(time.monotonic() - started)
    return result


COLUMNS = (
    *("write points", "trials", "kills", "not reached", "recoveries"),
    *("told before a kill, and kept", "same outcome", "seconds"),
)


def table(results: dict[str, Result]) -> str:
    """What became of every life, one column each."""
    rows = [("", *results)]
    rows += [(name, *(f"{one.counts[name]:,}" for one in results.values())) for name in COLUMNS]
    return "\n".join(f"{row[0]:<30}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in rows)


def main() -> int:
    """Run the campaign and print its table; 1 if anything was lost or came out otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--at", metavar="REGEX", help="only points like this, and no pairs")
    parser.add_argument("--moments", type=int, default=100, help="kills at moments that nobody chose")
    parser.add_argument("--life", choices=sorted(LIVES), action="append")
    chosen = parser.parse_args()
    results = {
        life: campaign(life, chosen.at, short=chosen.short, moments=chosen.moments)
        for life in chosen.life or BILLING
    }
    faults = [fault for one in results.values() for fault in one.faults]
    sys.stdout.write(table(results) + "\n")
    sys.stdout.write("".join(f"\n{fault}\n" for fault in faults[:5]))
    sys.stdout.write(f"{len(faults)} faults\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
