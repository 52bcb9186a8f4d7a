import fcntl
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from box_agent.checks import here
from box_agent.checks.step import CheckFailedError, CheckSkippedError, Steps, needed
from box_agent.client import AgentAwayError
from box_agent.store import SCHEMA_VERSION, DamagedStoreError, Store
from shared.system_clock import SystemClock
from tests.box_agent.fakes import Bench, settings

NOW = datetime(2026, 10, 7, 20, tzinfo=UTC)


@pytest.fixture
def state(bench: Bench):
    bench.enrol()
    bench.consent()
    bench.agent.close()
    return bench.settings.state()


def test_a_folder_that_others_may_read_fails(state):
    assert here.folder(state)[0] == state
    state.chmod(0o750)
    with pytest.raises(CheckFailedError, match="mode 0750"):
        here.folder(state)


def test_a_consent_file_that_others_may_read_fails(state):
    path = state / "consent.json"
    assert "mode 0600" in here.witness(path)[1]
    path.chmod(0o644)
    with pytest.raises(CheckFailedError):
        here.witness(path)


def test_the_consent_is_written_for_its_owner_alone_on_another_partition_too(tmp_path):
    before = os.umask(0o022)
    try:
        box = Bench(tmp_path / "state", consent_file=str(tmp_path / "elsewhere" / "consent.json"))
        box.consent()
    finally:
        os.umask(before)
    assert (tmp_path / "elsewhere" / "consent.json").stat().st_mode & 0o777 == 0o600


def test_durable_writing_leaves_no_file(state):
    before = sorted(state.iterdir())
    took, detail = here.durable(state, SystemClock())
    assert took >= 0
    assert "ms" in detail
    assert sorted(state.iterdir()) == before


def test_durable_writing_that_is_slow_fails(state):
    class Slow:
        at = 0.0

        def monotonic(self):
            self.at += 3
            return self.at

    with pytest.raises(CheckFailedError, match=r"3\.0 s"):
        here.durable(state, Slow())


def test_a_full_disk_fails(state, monkeypatch):
    assert here.room(state)[0] > here.LEAST_FREE
    monkeypatch.setattr(here, "LEAST_FREE", 1 << 62)
    with pytest.raises(CheckFailedError, match="are needed"):
        here.room(state)


def test_a_store_is_told_by_version_and_wholeness(state):
    store = state / "box.sqlite"
    assert here.store(store) == (SCHEMA_VERSION, f"version {SCHEMA_VERSION}, whole")
    made = Store(store)
    made.connection().execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    made.park()
    with pytest.raises(CheckFailedError, match="a newer agent's"):
        here.store(store)


def test_an_older_store_is_well_and_left_as_it_is(state):
    store = state / "box.sqlite"
    made = Store(store)
    made.connection().execute("PRAGMA user_version = 3")
    made.park()
    assert "upgraded at the next start" in here.store(store)[1]
    assert here.inspect(store).version == 3


def test_a_damaged_store_fails(state):
    store = state / "box.sqlite"
    content = bytearray(store.read_bytes())
    content[4096:9000] = bytes(range(256)) * 19 + bytes(40)
    store.write_bytes(content)
    with pytest.raises((CheckFailedError, DamagedStoreError)):
        here.store(store)


def test_looking_at_a_store_changes_no_file(state):
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    here.store(state / "box.sqlite")
    assert here.consents(settings(state), state / "box.sqlite")
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before


def test_a_lock_without_a_socket_fails_and_is_left_alone(state):
    given = settings(state)
    assert here.agent(given)[0] is False
    lock = state / "lock"
    lock.touch()
    code = (
        "import fcntl,sys;f=open(sys.argv[1]);fcntl.flock(f,fcntl.LOCK_EX);print('held',flush=True);input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CheckFailedError, match="does not listen"):
            here.agent(given)
        holder.stdin.write("\n")
    with lock.open() as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_socket_that_answers_nonsense_fails(state):
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(settings(state).socket()))
        listener.listen()
        import threading

        def answer():
            connection, _ = listener.accept()
            connection.sendall(b"nonsense\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(AgentAwayError):
            here.agent(settings(state))


@pytest.mark.parametrize(
    ("apart", "well"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)]
)
def test_a_clock_may_be_five_minutes_off(apart, well):
    told = NOW + timedelta(seconds=apart)
    if well:
        assert here.clock(NOW, told, None)
    else:
        with pytest.raises(CheckFailedError):
            here.clock(NOW, told, None)


def test_a_clock_before_the_catalogue_fails():
    with pytest.raises(CheckFailedError, match="the catalogue's date"):
        here.clock(NOW, None, NOW + timedelta(days=1))


def test_where_store_and_witness_differ_the_refusal_counts(state):
    given, store = settings(state), state / "box.sqlite"
    assert here.consents(given, store)
    (state / "consent.json").write_text("nonsense")
    assert not here.consents(given, store)
    (state / "consent.json").unlink()
    made = Store(store)
    made.connection().execute("UPDATE consent SET notice = 1")
    made.park()
    assert not here.consents(given, store), "given to another notice"


def test_a_step_that_fails_does_not_stop_the_rest():
    def fail():
        raise OSError("no disk")

    def skip():
        raise CheckSkippedError("not now")

    steps = Steps()
    assert steps.take("box", "one", fail) is None
    assert steps.take("box", "two", skip) is None
    assert steps.take("box", "three", lambda: (needed(3, "three"), "well")) == 3
    assert steps.take("box", "four", lambda: (needed(None, "one"), "")) is None
    assert [(one.number, one.verdict, one.detail) for one in steps.taken] == [
        (1, "failed", "no disk"),
        (2, "skipped", "not now"),
        (3, "ok", "well"),
        (4, "skipped", "needs one"),
    ]
    assert steps.failed
