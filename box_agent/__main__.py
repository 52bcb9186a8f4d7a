"""The command line: `box-agent run` beside the box's software, and questions to it.

A question is put to the running agent; if none runs, the store is opened for it.
"""

import fcntl
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from box_agent.app import Agent
from box_agent.lines import HttpAnonymousLine, HttpNamedLine
from box_agent.local_socket import SocketServer, answer, ask
from box_agent.questions import parser, request
from box_agent.service import Service
from box_agent.settings import BoxSettings, read_settings
from box_agent.sources.running import start_sources
from shared.clock import Clock
from shared.errors import StbError
from shared.system_clock import SteeredClock, SystemClock

TICK_SECONDS = 5
_LOG = logging.getLogger("box_agent")
_LOCK = "lock"


class AlreadyRunningError(StbError):
    """Another agent holds this state directory."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; answers with the exit status: 0 done, 1 refused, 2 wrong usage or settings."""
    told = parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it tells each of its ticks
    try:
        settings = read_settings(Path(told.config))
        if told.command == "run":
            return run(settings)
        return _question(settings, request(told), as_json=told.json)
    except StbError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def run(settings: BoxSettings) -> int:
    """Serve the socket and tick until SIGTERM or SIGINT.

    Raises:
        AlreadyRunningError: another agent holds the state directory.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _locked(settings.state()):
        service = build(settings)
        server = SocketServer(settings.socket(), service)
        sources = start_sources(
            settings, lambda event: service.do(lambda agent: agent.report(event)), clock_of(settings)
        )
        service.sources = sources.counts
        threading.Thread(target=server.serve_forever, daemon=True, name="socket").start()
        _LOG.info("ready")
        try:
            _tick_until(stop, service)
        finally:
            sources.stop()
            server.shutdown()
            server.server_close()
            settings.socket().unlink(missing_ok=True)
            service.close()
    return 0


def build(settings: BoxSettings) -> Service:
    """A service over the real lines and the clock that the settings name."""
    clock = clock_of(settings)
    lines = (
        HttpNamedLine(settings.headend_url, settings.ca_file),
        HttpAnonymousLine(settings.relay_url, settings.ca_file),
    )
    return Service(
        lambda given: Agent(settings, given, clock), lines, steered=settings.steered_clock is not None
    )


def clock_of(settings: BoxSettings) -> Clock:
    """The clock that the settings name: the machine's own, or a simulator's."""
    return SystemClock() if settings.steered_clock is None else SteeredClock(Path(settings.steered_clock))


def _tick_until(stop: threading.Event, service: Service) -> None:
    from apscheduler.schedulers.background import BackgroundScheduler

    clock = SystemClock()
    ticked = [clock.monotonic()]

    def tick() -> None:
        ticked[0] = clock.monotonic()
        service.tick()

    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(
        tick,
        "interval",
        seconds=TICK_SECONDS,
        jitter=TICK_SECONDS,  # a beat of its own would be a box's mark: what it sends keeps it for days
        id="tick",
        max_instances=1,
        coalesce=True,
        misfire_grace_time=None,
    )
    scheduler.start()
    while not stop.wait(TICK_SECONDS):
        # A wall clock that is set back would stop the scheduler until it has caught up.
        if clock.monotonic() - ticked[0] > 3 * TICK_SECONDS:
            scheduler.reschedule_job("tick", trigger="interval", seconds=TICK_SECONDS, jitter=TICK_SECONDS)
    scheduler.shutdown(wait=False)


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = os.open(state / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(held)
        raise AlreadyRunningError(f"another agent holds {state}") from error
    try:
        yield
    finally:
        os.close(held)


def _question(settings: BoxSettings, request: dict[str, Any], *, as_json: bool) -> int:
    try:
        found = ask(settings.socket(), request)
    except (FileNotFoundError, ConnectionRefusedError):
        with _locked(settings.state()):
            service = build(settings)
            found = json.loads(answer(service, json.dumps(request).encode()))
            service.close()
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    elif found["ok"]:
        sys.stdout.write(_in_lines(found["result"]) + "\n")
    else:
        sys.stderr.write(f"{found['error']}: {found['detail']}\n")
    return 0 if found["ok"] else 1


def _in_lines(found: object, indent: str = "") -> str:
    if isinstance(found, dict):
        return "\n".join(
            f"{indent}{name}:\n{_in_lines(value, indent + '  ')}"
            if isinstance(value, dict | list) and value
            else f"{indent}{name}: {_in_lines(value, '')}"
            for name, value in found.items()
        )
    if isinstance(found, list):
        return "\n\n".join(_in_lines(entry, indent) for entry in found) or f"{indent}none"
    words = {True: "yes", False: "no", None: "none"}
    return words[found] if found is None or isinstance(found, bool) else f"{indent}{found}"


if __name__ == "__main__":
    sys.exit(main())
