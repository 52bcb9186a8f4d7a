import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from box_agent.__main__ import main
from shared.notice import notice_text
from shared.register import notice_version
from shared.system_clock import ClockSteerer
from tests.box_agent.fakes import START, settings
from tests.box_agent.sources.fake_kodi import FakeKodi

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    clock = tmp_path / "clock"
    ClockSteerer(clock, START)
    given = settings(
        tmp_path / "state",
        headend_url="http://127.0.0.1:9",
        relay_url="http://127.0.0.1:9",
        simulated=True,
        steered_clock=str(clock),
    )
    lines = []
    for name, value in msgspec.to_builtins(given).items():
        if value is not None:
            lines.append(f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}")
    path = tmp_path / "box.toml"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "box_agent", "--config", str(config), "run"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert "ready" in child.stderr.readline()
        yield child
        child.kill()


def test_without_a_running_agent_the_store_is_read(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(config), "--json", "status"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["named"]["enrolled"] is False
    assert main(["--config", str(config), "consent", "grant", "--notice", str(notice_version())]) == 0
    assert main(["--config", str(config), "consent"]) == 0
    assert "granted: yes" in capsys.readouterr().out


def test_a_refusal_is_said_and_has_its_exit_status(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["order", "film-1", "--pin-verified", "--immediate-supply", "--confirmation-shown"]
    assert main(["--config", str(config), *arguments]) == 1
    assert "not-enrolled" in capsys.readouterr().err
    assert main(["--config", str(config), "enrol", "code-1234"]) == 1
    assert "line-down" in capsys.readouterr().err


def test_wrong_settings_stop_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none.toml"), "status"]) == 2
    assert "cannot read" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["notice", "orders", "offers", "promotions", "status"])
def test_every_question_has_an_answer_for_people(
    config: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(config), command]) == 0
    assert capsys.readouterr().out.strip()


def test_the_log_is_read_with_the_pin_and_in_the_language_asked_for(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*words: str, typed: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = main(["--config", str(config), *words])
        told = capsys.readouterr()
        return status, told.out + told.err

    pin = tmp_path / "pin"
    pin.write_text("2580\n")
    assert "no-pin" in said("sent", typed="2580\n")[1]
    assert said("set-pin", "--first", "--pin-file", str(pin))[0] == 0
    assert "wrong-pin" in said("sent", typed="0000\n")[1]
    assert said("sent", "--language", "fr", typed="2580\n") == (0, "none\n")
    assert said("sent", "--pin-file", str(pin))[0] == 0
    assert said("set-pin", "--old-pin-file", str(pin), typed="1379\n")[0] == 0
    assert said("sent", typed="1379\n")[0] == 0
    assert said("reset-pin")[0] == 0
    assert "no-pin" in said("sent", typed="1379\n")[1]


@pytest.mark.parametrize("language", ["en", "nl", "fr"])
def test_the_notice_is_told_in_each_language(
    config: Path, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--config", str(config), "--json", "notice", "--language", language])
    assert json.loads(capsys.readouterr().out)["result"]["text"] == notice_text(language)


def test_a_running_agent_answers_and_stops_cleanly(config: Path, running: subprocess.Popen[str]) -> None:
    socket = config.parent / "state" / "agent.sock"
    said = subprocess.run(
        [sys.executable, "-m", "box_agent", "--config", str(config), "--json", "status"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(said.stdout)["ok"]
    assert socket.exists()
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 0
    assert not socket.exists()


def test_a_second_run_on_one_state_directory_is_refused(config: Path, running: subprocess.Popen[str]) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "box_agent", "--config", str(config), "run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert second.returncode == 2
    assert "another agent" in second.stderr
    assert running.poll() is None


def test_after_kill_9_the_next_run_takes_over(config: Path, running: subprocess.Popen[str]) -> None:
    running.kill()
    running.wait()
    assert main(["--config", str(config), "--json", "status"]) == 0
    command = [sys.executable, "-m", "box_agent", "--config", str(config), "run"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert "ready" in child.stderr.readline()
        child.terminate()
        assert child.wait(20) == 0


def test_a_running_agent_watches_the_player_and_reads_the_guide_that_it_is_told_of(config: Path) -> None:
    kodi = FakeKodi()
    kodi.on = {"id": 1, "type": "movie", "genre": ["Comedy"], "mediapath": "x"}
    guide = config.parent / "guide.xml"
    guide.write_text("<tv/>")
    told = f"kodi = '127.0.0.1:{kodi.address[1]}'\nguide_file = '{guide}'\n"
    config.write_text(f"{told}{config.read_text()}")
    main(["--config", str(config), "consent", "grant", "--notice", str(notice_version())])
    command = [sys.executable, "-m", "box_agent", "--config", str(config)]
    with subprocess.Popen([*command, "run"], cwd=ROOT, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        while "ready" not in child.stderr.readline():
            pass
        for _ in range(100):
            said = subprocess.run([*command, "--json", "status"], cwd=ROOT, capture_output=True, check=True)
            found = json.loads(said.stdout)["result"]["sources"]
            if found["kodi"].get("kept", 0) >= 1 and found["guide"].get("loaded") == 1:
                break
        else:
            raise AssertionError(found)
        child.terminate()
        assert child.wait(20) == 0
    kodi.crash()
