"""CPU time: of an event over the socket while the agent is busy, and of a day on which nothing happens."""

import time
from contextlib import suppress
from pathlib import Path

from benchmarks.weight import proc
from benchmarks.weight.box import UNREACHED, BoxProcess
from benchmarks.weight.figures import Figure

EVENTS = 3_000
DAY_S = 86_400
_WARM_UP = 200
_REST_S, _SETTLE_S = 30.0, 2.0


def event_over_the_socket(folder: Path) -> Figure:
    """CPU time of the whole process for one event, asked and answered on an open connection."""
    box = BoxProcess(folder / "busy", UNREACHED)
    box.start()
    box.consent()
    for number in range(_WARM_UP):
        box.ask(_event(number))
    before = proc.cpu_s(box.pid)
    for number in range(EVENTS):
        box.ask(_event(number))
    spent = proc.cpu_s(box.pid) - before
    box.stop()
    return Figure(
        "cpu: an event over the socket", 1e6 * spent / EVENTS, "us", note="read, recorded, answered"
    )


def rested(folder: Path) -> proc.Memory:
    """Memory of an agent that has loaded cryptography and an HTTP client, and has rested since.

    It rests sooner than it would, and otherwise as it does.

    Raises:
        ValueError: it does not rest.
    """
    soon = "import box_agent.running as room; room.REST_TICK_SECONDS = 0.2; room.SPOKEN_S = room.SEEN_S = 0.5"
    box = BoxProcess(folder / "rested", UNREACHED, soon)
    box.start()
    with suppress(ValueError):
        box.ask({"op": "enrol", "code": "bench-bench"})
    until = time.monotonic() + _REST_S
    while "cryptography" in Path(f"/proc/{box.pid}/maps").read_text():
        if time.monotonic() > until:
            raise ValueError("the agent does not rest")
        time.sleep(0.05)
    time.sleep(_SETTLE_S)
    found = proc.memory(box.pid)
    box.stop()
    return found


def idle(pid: int, seconds: float) -> tuple[float, list[Figure]]:
    """CPU seconds of an idle day, and how often it wakes up; from so many seconds of a running agent."""
    before = proc.cpu_s(pid), proc.wake_ups(pid), proc.stat_s(pid)
    time.sleep(seconds)
    spent, woken = proc.cpu_s(pid) - before[0], proc.wake_ups(pid) - before[1]
    counted = proc.stat_s(pid) - before[2]
    told = f"from {seconds:.0f} s, {1e3 * spent:.1f} ms; stat counts {1e3 * counted:.0f} ms"
    day = spent * DAY_S / seconds
    return day, [
        Figure("cpu: an idle day", day, "s", note=told),
        Figure(
            "  wake-ups a minute", woken * 60 / seconds, "", note="voluntary context switches, all threads"
        ),
    ]


def _event(number: int) -> dict[str, object]:
    item = {"kind": "live", "genre": 67, "ref": f"svc-{number % 40}"}
    return {"op": "event", "event": {"event": "play", "seq": number, "item": item}}
