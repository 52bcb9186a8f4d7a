"""A real agent, in a process of its own, that watches a Kodi."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from box_agent.consent import Consent
from box_agent.local_socket import ask
from box_agent.recorder import Recorder
from box_agent.sessions import clock_minutes, viewing_sessions
from box_agent.store import ANONYMOUS_TABLES, STORE_NAME, Store
from shared.register import notice_version
from shared.system_clock import SystemClock
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
        return ask(self.settings.socket(), request)

    def stop(self):
        """Stop it as a service manager would; whatever happened, it is gone afterwards."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                assert self._process.wait(30) == 0
            finally:
                self._process.kill()

    def events(self):
        """What it recorded."""
        store = Store(self.settings.state() / STORE_NAME)
        door = store.door(ANONYMOUS_TABLES)
        found = Recorder(door, Consent(door, self.settings.consent_witness()), SystemClock()).events()
        store.park()
        return found

    def sessions(self):
        """The viewing sessions of what it recorded."""
        return viewing_sessions(self.events(), int(time.time() * 1000))

    def minutes(self):
        """Their clock minutes."""
        return clock_minutes(self.sessions(), ZONE)
