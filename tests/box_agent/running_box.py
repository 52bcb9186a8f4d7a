"""A real box before a real installation: its settings, its agent in a process of its own, its commands."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import msgspec

from box_agent.client import AgentClient
from tests.box_agent.fakes import offer

ROOT = Path(__file__).parents[2]
EVIDENCE = {"pin_verified": True, "consent_immediate_supply": True, "confirmation_shown": True}


def publish(installation, *offers):
    """Put offers in force at an installation."""
    path = Path(installation.folder).parent / "catalogue.json"
    path.write_bytes(msgspec.json.encode(list(offers) or [offer()]))
    installation.headend.command("catalogue", "publish", installation.folder, str(path))


class RunningBox:
    """A box of a simulated installation, on its steered clock."""

    def __init__(self, folder, installation, **changes):
        folder.mkdir(parents=True, exist_ok=True)
        self.state = folder / "state"
        self.config = folder / "box.toml"
        self.log = folder / "agent.log"
        self.socket = self.state / "agent.sock"
        given = installation.pins() | {
            "serial": "serial-7",
            "state_dir": str(self.state),
            "postal_area": "1012",
            "simulated": True,
            "steered_clock": str(installation.clock_file),
            **changes,
        }
        self.write(given)

    def write(self, given):
        self.given = given
        lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
        self.config.write_text("\n".join(lines))

    @contextmanager
    def running(self):
        """`box-agent run`, until it takes requests and until this is left."""
        command = [sys.executable, "-m", "box_agent", "--config", str(self.config), "run"]
        with self.log.open("ab") as log, subprocess.Popen(command, cwd=ROOT, stderr=log) as child:
            try:
                until = time.monotonic() + 60
                while not self.socket.exists():
                    assert child.poll() is None, self.log.read_text()
                    assert time.monotonic() < until
                    time.sleep(0.02)
                yield child
                child.terminate()
                assert child.wait(60) == 0
            finally:
                child.kill()

    def ask(self, op, **fields):
        """Ask the running agent."""
        with AgentClient(self.socket) as client:
            return client.ask(op, **fields)

    def command(self, *words):
        """Run `box-agent WORDS`; its exit status, and what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "box_agent", "--config", str(self.config), *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr
