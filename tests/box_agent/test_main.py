import ctypes
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from box_agent.__main__ import main
from shared.notice import notice_text
from shared.notice_version import notice_version
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
    assert "You have given your consent" in capsys.readouterr().out


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
    assert said("sent", "--language", "fr", typed="2580\n") == (0, "Rien n'a été envoyé.\n")
    assert said("sent", "--pin-file", str(pin))[0] == 0
    assert said("set-pin", "--old-pin-file", str(pin), typed="1379\n")[0] == 0
    assert said("sent", typed="1379\n")[0] == 0
    assert said("reset-pin")[0] == 0
    assert "no-pin" in said("sent", typed="1379\n")[1]


@pytest.fixture
def pin(config: Path, tmp_path: Path) -> Path:
    path = tmp_path / "pin"
    path.write_text("2580\n")
    assert main(["--config", str(config), "set-pin", "--first", "--pin-file", str(path)]) == 0
    return path


@pytest.mark.parametrize("command", ["recorded", "waiting", "sent"])
def test_what_tells_of_viewing_is_told_for_the_pin_only(
    config: Path, pin: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(config), command, "--pin-file", str(pin), "--language", "nl"]) == 0
    assert capsys.readouterr().out.strip()
    pin.write_text("0852")
    assert main(["--config", str(config), command, "--pin-file", str(pin), "--language", "nl"]) == 1
    assert "Dit is niet de pincode. (wrong-pin" in capsys.readouterr().err


def test_an_export_is_a_file_for_its_owner_alone_or_goes_to_standard_output(
    config: Path, pin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--config", str(config), "export", "--pin-file", str(pin)]
    target = tmp_path / "mine.json"
    target.write_text("from before")
    assert main([*command, str(target)]) == 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert json.loads(target.read_text())["version"] == 1
    assert str(target) in capsys.readouterr().out
    assert main([*command, "-"]) == 0
    assert json.loads(capsys.readouterr().out)["archive"] == "box-agent"


def test_an_export_that_cannot_be_written_leaves_nothing(
    config: Path, pin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    command = ["--config", str(config), "export", "--pin-file", str(pin)]
    assert main([*command, str(tmp_path / "nowhere" / "mine.json")]) == 2
    assert "cannot-write" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    pin.write_text("0852")
    assert main([*command, str(tmp_path / "mine.json")]) == 1
    assert not (tmp_path / "mine.json").exists()


@pytest.mark.parametrize(
    ("words", "typed", "status"),
    [
        (["wipe"], "wipe\n", 0),
        (["wipe", "--language", "nl"], "wissen\n", 0),
        (["wipe", "--yes"], "", 0),
        (["wipe", "--all", "--yes"], "", 0),
        (["wipe"], "yes\n", 1),
        (["wipe", "--all"], "", 1),
    ],
)
def test_a_wipe_is_done_when_it_is_meant(
    config: Path, pin: Path, words: list[str], typed: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--config", str(config), "consent", "grant", "--notice", str(notice_version())]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert main(["--config", str(config), *words]) == status
    left = main(["--config", str(config), "sent", "--pin-file", str(pin)])
    assert left == (1 if status == 0 else 0), "the PIN went with the rest"


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


def test_a_stop_is_heard_whichever_thread_the_kernel_gives_the_signal_to(
    config: Path, running: subprocess.Popen[str]
) -> None:
    """As when it comes in the moment in which the main thread goes to sleep."""
    time.sleep(1.5)  # until it sleeps
    threads = sorted(int(path.name) for path in Path(f"/proc/{running.pid}/task").iterdir())
    other = next(one for one in threads if one != running.pid)
    libc = ctypes.CDLL(None)
    assert libc.tgkill(running.pid, other, int(signal.SIGTERM)) == 0
    assert running.wait(20) == 0


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


def test_a_recorded_session_is_told_without_settings(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = str(Path(__file__).parent / "data" / "kodi_session.jsonl")
    assert main(["--json", "replay", recorded, "--zone", "Europe/Amsterdam"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["genre"], one["minutes"]) for one in found["sessions"]] == [
        ("vod", "other", 0.3),
        ("live", "sports", 0.8),
        ("live", "film-drama", 0.7),
        ("live", "news", 1.4),
    ]
    assert found["sessions"][0]["from"] == "2026-11-22T04:16:04+01:00"
    assert found["clock_minutes"] == {"film-drama": 1, "news": 1}
    assert main(["replay", recorded]) == 0
    assert "genre: sports" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["none.jsonl"], ["README.md"], ["kodi_session.jsonl", "--zone", "Nowhere"]]
)
def test_what_cannot_be_replayed_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    data = Path(__file__).parent / "data"
    assert main(["replay", str(data / words[0]), *words[1:]]) == 2
    assert capsys.readouterr().err.strip()
