"""`box-agent selftest`: whether this box and both lines work, for who installs it; numbered steps, each told.

It takes no lock, writes nothing that stays, and spends no token; it works beside a running agent and before
enrolment. Without consent the anonymous line is left alone, since a box that has not consented sends nothing
on it, but where an installer asks for it on a bench.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from box_agent.checks import anonymous, here, named
from box_agent.checks.step import CheckSkippedError, Step, Steps, needed
from box_agent.core import STORE_NAME
from box_agent.inspection import ReadOnlyStore
from box_agent.lines import AnonymousLine, HttpAnonymousLine, HttpNamedLine
from box_agent.published import Pinned
from box_agent.settings import BoxSettings, read_settings
from shared.clock import Clock
from shared.system_clock import SteeredClock, SystemClock
from shared.weeks import Week

BOX, NAMED, ANONYMOUS = "box", "named line", "anonymous line"
_HINTS = {
    "SSLError": "the certificate there is not under the pinned root, or not for that name",
    "ConnectionError": "nobody answers there",
    "ConnectTimeout": "nobody answers there in time",
}


@dataclass(frozen=True)
class _Bench:
    """What the steps on the lines need."""

    settings: BoxSettings
    clock: Clock
    lines: tuple[HttpNamedLine, AnonymousLine]

    @property
    def store(self) -> Path:
        return self.settings.state() / STORE_NAME

    @property
    def week(self) -> Week:
        return Week.of(self.clock.now(), self.settings.timezone())

    @property
    def pinned(self) -> Pinned:
        return Pinned(self.settings.directory_key, self.settings.issuer, self.settings.zone)


def selftest(config: Path, environment: Mapping[str, str], *, on_a_bench: bool = False) -> list[Step]:
    """Take every step; `on_a_bench` tries the anonymous line without consent too."""
    steps = Steps()
    bench = steps.take(BOX, "settings", lambda: _settings(config, environment))
    if bench is not None:
        _look_here(steps, bench)
        _ask(steps, bench, on_a_bench=on_a_bench)
    return [_hinted(step) for step in steps.taken]


def in_lines(steps: Sequence[Step]) -> str:
    """The steps as a table."""
    rows = [(f"{one.number:2}", one.verdict, f"{one.where}: {one.name}", one.detail) for one in steps]
    return "\n".join(
        f"{number}  {verdict:<7}  {what:<34}  {detail}" for number, verdict, what, detail in rows
    )


def _settings(config: Path, environment: Mapping[str, str]) -> tuple[_Bench, str]:
    found = read_settings(config, environment)
    clock = SystemClock() if found.steered_clock is None else SteeredClock(found.steered_clock)
    lines = HttpNamedLine(found.headend_url, found.ca_file), HttpAnonymousLine(found.relay_url, found.ca_file)
    return _Bench(found, clock, lines), f"{config}, box {found.serial}"


def _look_here(steps: Steps, bench: _Bench) -> None:
    settings = bench.settings
    steps.take(BOX, "zone data", lambda: here.zone(settings, bench.clock.now()))
    folder = steps.take(BOX, "state directory", lambda: here.folder(settings.state()))
    steps.take(BOX, "consent file", lambda: here.witness(settings.consent_witness()))
    # A steered clock stands still while a file is written.
    steps.take(BOX, "durable writing", lambda: here.durable(needed(folder, _A_FOLDER), SystemClock()))
    steps.take(BOX, "free space", lambda: here.room(needed(folder, _A_FOLDER)))
    steps.take(BOX, "store", lambda: here.store(bench.store))
    steps.take(BOX, "agent", lambda: here.agent(settings))


def _ask(steps: Steps, bench: _Bench, *, on_a_bench: bool) -> None:
    line, relayed = bench.lines
    week, pinned = bench.week, bench.pinned
    issued = steps.take(NAMED, "catalogue", lambda: named.catalogue(line, bench.settings.catalogue_key))
    steps.take(BOX, "clock", lambda: _clock(bench, issued))
    raw = steps.take(NAMED, "directory", lambda: named.directory(line, week, pinned))
    steps.take(NAMED, "sign of life", lambda: _sign_of_life(bench))
    allowed = steps.take(ANONYMOUS, "consent", lambda: _allowed(bench, on_a_bench=on_a_bench))

    def directory() -> tuple[bytes, str]:
        needed(allowed, "consent")
        return anonymous.directory(relayed, week, needed(raw, "the named line's directory"))

    def sealed() -> tuple[str, str]:
        needed(allowed, "consent")
        return anonymous.sealed(relayed, week, needed(same, "the same directory"), pinned, os.urandom)

    same = steps.take(ANONYMOUS, "directory", directory)
    steps.take(ANONYMOUS, "sealed request", sealed)


def _clock(bench: _Bench, issued: datetime | None) -> tuple[None, str]:
    since = needed(issued, "the catalogue")
    # A simulated box's time is not that of its headend's HTTP server.
    told = None if bench.settings.steered_clock else named.time_told(bench.lines[0])
    return here.clock(bench.clock.now(), told, since)


def _sign_of_life(bench: _Bench) -> tuple[None, str]:
    if not bench.store.exists():
        raise CheckSkippedError("this box has not been enrolled")
    return named.sign_of_life(bench.lines[0], ReadOnlyStore(bench.store), bench.clock.now())


def _allowed(bench: _Bench, *, on_a_bench: bool) -> tuple[bool, str]:
    if here.consents(bench.settings, bench.store):
        return True, "given: the line is tried; what is sent carries nothing of this box"
    if on_a_bench:
        return True, "none; tried all the same, as was asked for: what is sent carries nothing of this box"
    raise CheckSkippedError("none: a box without consent sends nothing there; --anonymous on a bench")


def _hinted(step: Step) -> Step:
    hint = _HINTS.get(step.detail)
    return step if hint is None else replace(step, detail=f"{step.detail}: {hint}")


_A_FOLDER = "the state directory"
