"""A real agent, in a process of its own, that watches a Kodi."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from box_agent.client import AgentClient
from box_agent.core import Core
from box_agent.guide.store import GuideStore
from box_agent.programmes import split
from box_agent.sessions import clock_minutes, settle
from shared.notice_version import notice_version
from shared.system_clock import SystemClock, boot_id
from tests.box_agent.fakes import ZONE, settings

ROOT = Path(__file__).parents[2]


class RunningAgent:
    """`box-agent run` with consent given; what it recorded is read when it has stopped."""

    def __init__(self, folder, port):
        self.settings = settings(
            folder / "state",
            headend_url="http://127.0.0.1:9",
            relay_url="http://127.0.0.1:9",
            kodi=f"127.0.0.1:{port}",
        )
        given = {name: getattr(self.settings, name) for name in self.settings.__struct_fields__}
        lines = [f"{name} = {json.dumps(value)}" for name, value in given.items() if value is not None]
        config = folder / "box.toml"
        config.write_text("\n".join(lines))
        command = [sys.executable, "-m", "box_agent", "--config", str(config), "run"]
        with (folder / "agent.log").open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        until = time.monotonic() + 30
        while not self.settings.socket().exists():
            assert time.monotonic() < until, (folder / "agent.log").read_text()
            time.sleep(0.05)
        said = self.ask(op="set-consent", granted=True, notice=notice_version(), how="test")
        assert said["ok"], said

    def ask(self, **request):
        """Ask it over its socket."""
        with AgentClient(self.settings.socket()) as client:
            return client.exchange(request)

    def stop(self):
        """Stop it as a service manager would; whatever happened, it is gone afterwards."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                assert self._process.wait(30) == 0
            finally:
                self._process.kill()

    def runs(self):
        """What it recorded, run by run."""
        core = Core(self.settings.state_dir, self.settings.consent_witness(), SystemClock(), boot_id())
        found = [run.events for run in core.recorder.runs()]
        core.store.park()
        return found

    def events(self):
        """All of it."""
        return [event for run in self.runs() for event in run]

    def sessions(self):
        """The viewing sessions of what it recorded, as the week's end makes them."""
        now_ms = int(time.time() * 1000)
        return split(settle(self.runs(), now_ms, now_ms)[0], GuideStore.of(self.settings).programmes)

    def minutes(self):
        """Their clock minutes."""
        return clock_minutes(self.sessions(), ZONE)
