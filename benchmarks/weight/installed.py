"""A real headend and relay, a box on both lines through counting proxies, and a clock that is moved."""

import contextlib
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.weight.box import BoxProcess
from benchmarks.weight.line import Proxy, own_tls
from shared.clock import to_ms
from shared.system_clock import ClockSteerer, SystemClock
from simulator.processes import Headend, RelayProcess, wait_until

PROFILE = "regional"
ACCOUNT = "bench"
_REGIONS = 'regions = ["north", "south"]\n\n[areas]\n"1" = "north"\n"2" = "south"\n'


class Installed:
    """`headend serve` and the relay, as processes, and time in one hand."""

    def __init__(self, folder: Path, start: datetime) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.now = start
        self._steerer = ClockSteerer(folder / "clock", start)
        regions = folder / "regions.toml"
        regions.write_text(_REGIONS)
        self.headend = Headend(folder / "headend")
        self._headend = str(self.headend.folder)
        words = ("--profile", PROFILE, "--regions", str(regions))
        self.headend.command("init", self._headend, *words, "--simulated", "--clock", str(folder / "clock"))
        self.headend.start()
        self._relay = RelayProcess(self.headend.url)
        self._relay.start()
        self._job_due = self.headend.readiness()["next_job_due_ms"]
        self._proxies: list[Proxy] = []

    def move_to(self, instant: datetime) -> None:
        """Move time, and let the headend do what is due on the way."""
        while self._job_due <= to_ms(instant):
            due = self._job_due
            self._steerer.set(datetime.fromtimestamp(due / 1000, UTC))
            wait_until(lambda due=due: self._next_job() > due, "a job of the headend")
        self.now = instant
        self._steerer.set(instant)

    def box(self, name: str, *, tls: bool) -> tuple[BoxProcess, list[Proxy]]:
        """An agent that has not been started, and what counts the bytes of its two lines."""
        self.headend.command("account", "add", self._headend, f"{ACCOUNT}-{name}", "--postal-area", "1012")
        context, pinned = own_tls(self._folder, SystemClock().now()) if tls else (None, None)
        lines = [self._line(port, context) for port in (self.headend.port, self._relay.port)]
        scheme = "https" if tls else "http"
        urls = [f"{scheme}://127.0.0.1:{line.port}" for line in lines]
        told = self.headend.command(
            "box-settings", self._headend, "--headend-url", urls[0], "--relay-url", urls[1]
        )
        pairs = (line.partition(" = ") for line in told.splitlines() if " = " in line)
        settings: dict[str, Any] = {key: value.strip('"') for key, _, value in pairs}
        settings |= {"serial": name, "postal_area": "1012", "simulated": True}
        settings |= {"steered_clock": str(self._folder / "clock")}
        if pinned:
            settings["ca_file"] = str(pinned)
        return BoxProcess(self._folder / name, settings), lines

    def code(self, name: str) -> str:
        """An enrolment code for that box."""
        made = self.headend.asked("account", "code", self._headend, f"{ACCOUNT}-{name}")
        return str(made[f"{ACCOUNT}-{name}"][0])

    def stop(self) -> None:
        """Stop everything."""
        for proxy in self._proxies:
            proxy.close()
        self._relay.stop()
        self.headend.stop()

    def _line(self, port: int, tls: ssl.SSLContext | None) -> Proxy:
        """What the agent connects to; with TLS it counts the bytes outside of it."""
        within = Proxy(port, tls) if tls else None
        outer = Proxy(within.port if within else port)
        self._proxies += [outer, *([within] if within else [])]
        return outer

    def _next_job(self) -> int:
        with contextlib.suppress(KeyError):
            self._job_due = int(self.headend.readiness()["next_job_due_ms"])
        return self._job_due
