import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from box_agent.client import AgentClient, AgentRefusedError
from box_agent.core import Core
from shared.notice_version import notice_version
from shared.system_clock import SystemClock, boot_id
from tests.box_agent.fakes import settings

ROOT = Path(__file__).parents[2]
EVENT = {"op": "event", "event": {"event": "play", "item": {"kind": "live", "genre": 67, "ref": "x"}}}


class Home:
    """A state directory, its settings, and the environment that names its places."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.config = folder / "box.toml"
        given = settings(self.state, headend_url="http://127.0.0.1:9", relay_url="http://127.0.0.1:9")
        names = ("headend_url", "relay_url", "issuer", "directory_key", "catalogue_key", "zone", "serial")
        lines = [f'{name} = "{getattr(given, name)}"' for name in names]
        self.config.write_text("\n".join(lines) + f'\nstate_dir = "{self.state}"\n')
        self.socket = self.state / "agent.sock"
        self.environment = os.environ | {
            "BOX_AGENT_STATE_DIR": str(self.state),
            "BOX_AGENT_SOCKET_PATH": str(self.socket),
            "BOX_AGENT_CONSENT_FILE": str(self.state / "consent.json"),
        }

    @contextmanager
    def running(self, code: str | None = None, **more: str):
        if self.socket.exists():
            self.socket.unlink()  # left by a kill
        program = ["-c", code] if code else ["-m", "box_agent"]
        with subprocess.Popen(
            [sys.executable, *program, "--config", str(self.config), "run"],
            cwd=ROOT,
            env=self.environment | more,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            try:
                while not self.socket.exists() and child.poll() is None:
                    time.sleep(0.002)
                yield child
            finally:
                child.kill()

    def consent(self) -> None:
        from box_agent.consent import Shown

        core = Core(str(self.state), str(self.state / "consent.json"), SystemClock(), boot_id())
        core.consent.grant(notice_version(), Shown("test"), core.clock.now())
        core.store.park()

    def stored(self) -> int:
        core = Core(str(self.state), str(self.state / "consent.json"), SystemClock(), boot_id())
        found = core.recorder.on_hand()
        core.store.park()
        return found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path)
    found.consent()
    return found


def test_the_first_event_is_durable_when_it_is_answered_even_if_the_agent_dies_then(home: Home) -> None:
    with home.running() as child, socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(home.socket))
        connection.sendall(json.dumps(EVENT).encode() + b"\n")
        assert json.loads(connection.recv(1000)) == {"ok": True, "result": {"kept": True}}
        child.kill()
    assert home.stored() == 1


def test_other_requests_are_answered_when_the_rest_has_been_loaded(home: Home) -> None:
    with home.running() as child, AgentClient(home.socket) as agent:
        assert agent.event("key")
        assert agent.ask("status")["anonymous"]["events"] == 1
        assert agent.ask("orders") == []
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    assert not home.socket.exists()


def test_what_takes_the_first_event_imports_no_more_than_it_needs() -> None:
    code = (
        "import sys; import box_agent.starting;"
        "late = ('typing', 'dataclasses', 'msgspec', 'logging', 'argparse', 'pathlib', 'contextlib',"
        " 'socket', 'tomllib', 'zoneinfo', 'cryptography', 'requests', 'apscheduler', 'sqlite_utils');"
        "print([name for name in late if name in sys.modules])"
    )
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_agent_that_waits_has_loaded_neither_cryptography_nor_an_http_client(home: Home) -> None:
    with home.running() as child, AgentClient(home.socket) as agent:
        agent.event("key")
        agent.ask("status")
        loaded = Path(f"/proc/{child.pid}/maps").read_text()
        assert "_sqlite3" in loaded
        assert "cryptography" not in loaded
        assert "_ssl" not in loaded


def test_an_agent_that_rests_gives_back_what_it_loaded_and_nobody_notices(home: Home) -> None:
    def loaded(child: subprocess.Popen[str]) -> bool:
        return "cryptography" in Path(f"/proc/{child.pid}/maps").read_text()

    code = (
        "import sys; import box_agent.running as room;"
        "room.TICK_SECONDS = room.REST_TICK_SECONDS = 0.1; room.SPOKEN_S = room.SEEN_S = 0.3;"
        "from box_agent.__main__ import main; sys.exit(main())"
    )
    with home.running(code) as child, AgentClient(home.socket) as agent:
        begun = child.pid
        agent.event("key")
        with pytest.raises(AgentRefusedError):
            agent.ask("enrol", code="code-1234")  # a key is made for it, which takes cryptography
        assert loaded(child)
        until = time.monotonic() + 30
        while loaded(child):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert agent.event("key"), "on the connection of before"
        assert agent.ask("status")["anonymous"]["events"] >= 2
        with AgentClient(home.socket) as another:
            assert another.event("key")
        assert (child.poll(), child.pid) == (None, begun)
        command = [sys.executable, "-m", "box_agent", "--config", str(home.config), "run"]
        second = subprocess.run(
            command, cwd=ROOT, env=home.environment, capture_output=True, text=True, check=False, timeout=30
        )
        assert "another agent" in second.stderr, "the lock was never let go"
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0


def test_settings_that_contradict_the_environment_stop_the_agent(home: Home) -> None:
    elsewhere = home.config.read_text() + f'socket_path = "{home.state}/other.sock"\n'
    home.config.write_text(elsewhere)
    with home.running() as child:
        assert child.wait(20) == 0 if child.poll() == 0 else True
        with AgentClient(home.socket) as agent:
            assert agent.ask("consent")["granted"], "the environment counts more than the file"
    with home.running(BOX_AGENT_HEARTBEAT_HOURS="often") as child:
        assert child.wait(20) == 2
        assert "int" in child.stderr.read()
    with home.running(BOX_AGENT_COLOUR="red") as child:
        assert child.wait(20) == 2
        assert "BOX_AGENT_COLOUR is no setting" in child.stderr.read()


def test_the_service_manager_is_told_when_events_are_taken(home: Home, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        with home.running(NOTIFY_SOCKET=str(tmp_path / "notify")):
            assert manager.recv(100) == b"READY=1"


def test_two_agents_on_one_state_directory_are_one_too_many(home: Home) -> None:
    with home.running(), AgentClient(home.socket) as agent:
        agent.event("key")
        command = [sys.executable, "-m", "box_agent", "--config", str(home.config), "run"]
        second = subprocess.run(
            command, cwd=ROOT, env=home.environment, capture_output=True, text=True, check=False, timeout=30
        )
        assert (second.returncode, "another agent" in second.stderr) == (2, True)
        assert agent.event("key")


def test_a_state_directory_that_cannot_be_written_stops_the_start_with_a_reason(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (tmp_path / "state").write_text("a file where a folder should be")
    with home.running() as child:
        assert child.wait(20) == 2
        assert "state" in child.stderr.read()


def test_too_many_connections_are_turned_away_and_the_others_served(home: Home) -> None:
    with home.running(), AgentClient(home.socket) as agent:
        assert agent.event("key")
        held = []
        for _ in range(31):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(home.socket))
            held.append(connection)
        with socket.socket(socket.AF_UNIX) as one_more:
            one_more.connect(str(home.socket))
            assert json.loads(one_more.recv(1000))["error"] == "too-many-connections"
        assert agent.event("key")
        for connection in held:
            connection.close()
