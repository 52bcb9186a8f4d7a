import socket
import threading
from pathlib import Path

import pytest

from box_agent.client import AgentAwayError, AgentClient, AgentRefusedError
from box_agent.listener import Listener


class Desk:
    """What answers on the other side."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[bytes] = []
        self.said = b'{"ok": true, "result": {"kept": true}}\n'
        self.listener = Listener(str(path), self.answer)

    def answer(self, line: bytes) -> bytes:
        self.asked.append(line)
        return self.said


@pytest.fixture
def desk(tmp_path: Path):
    found = Desk(tmp_path / "agent.sock")
    yield found
    found.listener.close()


def test_an_event_is_told_with_its_version_and_answered(desk: Desk) -> None:
    with AgentClient(desk.path) as agent:
        assert agent.event("play", item={"kind": "live"})
    assert desk.asked == [b'{"op": "event", "event": {"v": 1, "event": "play", "item": {"kind": "live"}}}']


def test_a_refusal_keeps_its_name(desk: Desk) -> None:
    desk.said = b'{"ok": false, "error": "bad-event", "detail": "no"}\n'
    with AgentClient(desk.path) as agent, pytest.raises(AgentRefusedError) as refused:
        agent.event("dance")
    assert refused.value.name == "bad-event"


def test_a_connection_that_was_lost_is_opened_again(desk: Desk) -> None:
    with AgentClient(desk.path) as agent:
        assert agent.event("key")
        desk.listener.close()
        with pytest.raises(AgentAwayError):
            agent.event("key")
        desk.listener = Listener(str(desk.path), desk.answer)
        assert agent.event("key")


def test_nobody_there_is_told_as_such(tmp_path: Path) -> None:
    with AgentClient(tmp_path / "none.sock") as agent, pytest.raises(AgentAwayError, match="no answer"):
        agent.ask("status")


def test_lines_come_whole_however_they_are_cut(desk: Desk) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(desk.path))
        for part in (b'{"op"', b': "a"}\n{"op": "b"}', b"\n", b'{"op": "c"}\n'):
            connection.sendall(part)
        answers = b""
        while answers.count(b"\n") < 3:
            answers += connection.recv(1000)
    assert desk.asked == [b'{"op": "a"}', b'{"op": "b"}', b'{"op": "c"}']


def test_a_request_that_fails_inside_is_answered_and_the_next_one_too(desk: Desk) -> None:
    said = iter([RuntimeError("inside"), b'{"ok": true, "result": 1}\n'])

    def answer(_line: bytes) -> bytes:
        found = next(said)
        if isinstance(found, Exception):
            raise found
        return found

    desk.listener.close()
    desk.listener = Listener(str(desk.path), answer)
    with AgentClient(desk.path) as agent:
        with pytest.raises(AgentRefusedError, match="see the agent's log"):
            agent.ask("status")
        assert agent.ask("status") == 1


def test_a_listener_that_is_closed_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    listener = Listener(str(tmp_path / "agent.sock"), lambda _: b"{}\n")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(tmp_path / "agent.sock"))
        connection.sendall(b"x\n")
        assert connection.recv(10) == b"{}\n"
        listener.close()
        assert connection.recv(10) == b""
    for thread in threading.enumerate():
        if thread.name in {"socket", "speaker"}:
            thread.join(5)
    assert threading.active_count() <= before
