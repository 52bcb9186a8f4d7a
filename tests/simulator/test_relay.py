import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from simulator.relay import MAX_WEEKS, SEALED_SIZE, Answer, NotLoopbackError, Relay, _loopback, main

SEALED = bytes(range(256)) * 4
SEALED = SEALED[:SEALED_SIZE]
TYPE = "message/ohttp-req"


class Gateway(ThreadingHTTPServer):
    """Remembers what it saw, and answers what it is told to."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Answering)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status, self.kind, self.body = 200, "message/ohttp-res", b"sealed answer"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gateway

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.send_header("Set-Cookie", "box=7")
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST = _any  # noqa: N815 (names that the server looks for)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    found = Gateway()
    yield found
    found.stop()


@contextmanager
def relay_process(gateway_port: int, *more: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "simulator.relay", "--listen", "127.0.0.1:0"]
    command += ["--gateway", f"http://127.0.0.1:{gateway_port}", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("relay ready on 127.0.0.1:")
        try:
            yield process, int(ready.rpartition(":")[2])
        finally:
            process.terminate()
            process.wait(5)


@pytest.fixture
def relay(gateway: Gateway) -> Iterator[int]:
    with relay_process(gateway.server_port) as (_, port):
        yield port


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    line.request(method, path, body, headers or {})
    answer = line.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    line.close()
    return found


def raw(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        line.sendall(sent)
        return b"".join(iter(lambda: line.recv(65536), b""))


def problem(body: bytes) -> str:
    return str(json.loads(body)["type"]).rpartition(":")[2]


def test_a_sealed_request_passes_without_any_other_header(gateway: Gateway, relay: int) -> None:
    told = {"Content-Type": TYPE, "User-Agent": "box 7", "X-Forwarded-For": "10.0.0.7", "Cookie": "box=7"}
    status, headers, body = ask(relay, "POST", "/ohttp", SEALED, told)
    assert (status, body) == (200, b"sealed answer")
    assert headers == {"Content-Type": "message/ohttp-res", "Content-Length": "13"}
    ((method, path, seen, passed),) = gateway.seen
    assert (method, path, passed) == ("POST", "/analytics/ohttp", SEALED)
    assert seen == {
        "Host": f"127.0.0.1:{gateway.server_port}",
        "Content-Type": TYPE,
        "Content-Length": str(SEALED_SIZE),
    }


def test_a_directory_is_fetched_once_and_kept(gateway: Gateway, relay: int) -> None:
    gateway.kind, gateway.body = "application/json", b'{"week":"2026-W41"}'
    for _ in range(3):
        assert ask(relay, "GET", "/directory/2026-W41")[2] == gateway.body
    assert [seen[1] for seen in gateway.seen] == ["/analytics/directory/2026-W41"]
    ask(relay, "GET", "/directory/2026-W42")
    assert len(gateway.seen) == 2


def test_a_directory_that_was_not_found_is_asked_for_again(gateway: Gateway, relay: int) -> None:
    gateway.status, gateway.kind, gateway.body = 404, "application/problem+json", b'{"type":"x:no-directory"}'
    for _ in range(2):
        status, headers, body = ask(relay, "GET", "/directory/2026-W41")
        assert (status, headers["Content-Type"], body) == (404, gateway.kind, gateway.body)
    assert len(gateway.seen) == 2


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "name"),
    [
        ("POST", "/analytics/ohttp", SEALED, TYPE, 404, "not-found"),
        ("POST", "/ohttp?box=7", SEALED, TYPE, 404, "not-found"),
        ("POST", "/ohttp/", SEALED, TYPE, 404, "not-found"),
        ("GET", "/", None, "", 404, "not-found"),
        ("GET", "/directory/2026-W54", None, "", 404, "not-found"),
        ("GET", "/directory/2026-W41/../..", None, "", 404, "not-found"),
        ("GET", "/directory/2026-W41?box=7", None, "", 404, "not-found"),
        ("GET", "/ohttp", None, "", 405, "wrong-method"),
        ("PUT", "/ohttp", SEALED, TYPE, 405, "wrong-method"),
        ("POST", "/directory/2026-W41", b"", "", 405, "wrong-method"),
        ("POST", "/ohttp", SEALED, "application/json", 415, "wrong-content-type"),
        ("POST", "/ohttp", SEALED[:-1], TYPE, 400, "wrong-size"),
        ("POST", "/ohttp", SEALED + b"7", TYPE, 400, "wrong-size"),
        ("POST", "/ohttp", bytes(70_000), TYPE, 413, "too-large"),
    ],
)
def test_everything_else_is_refused_by_name_and_does_not_reach_the_gateway(
    gateway: Gateway,
    relay: int,
    method: str,
    path: str,
    body: bytes | None,
    kind: str,
    status: int,
    name: str,
) -> None:
    found, headers, told = ask(relay, method, path, body, {"Content-Type": kind} if kind else {})
    assert (found, problem(told)) == (status, name)
    assert headers["Content-Type"] == "application/problem+json"
    assert not gateway.seen


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"POST /ohttp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /ohttp HTTP/1.1\r\nContent-Length: 823\r\nContent-Length: 0\r\n\r\n",
        b"POST /ohttp HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /directory/2026-W41 HTTP/1.1\r\nno field\r\n\r\n",
        b"GET /directory/2026-W41 HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    ],
)
def test_what_is_no_plain_request_is_refused(gateway: Gateway, relay: int, sent: bytes) -> None:
    answer = raw(relay, sent)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert not gateway.seen


def test_a_head_without_end_is_refused(relay: int) -> None:
    assert raw(relay, b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000).startswith(b"HTTP/1.1 431 ")


def test_a_gateway_that_is_down_is_told_and_survived() -> None:
    gateway = Gateway()
    port = gateway.server_port
    gateway.stop()
    with relay_process(port) as (_, relay):
        status, headers, body = ask(relay, "POST", "/ohttp", SEALED, {"Content-Type": TYPE})
        assert (status, problem(body)) == (502, "gateway-down")
        assert headers["Content-Type"] == "application/problem+json"
        status, _, body = ask(relay, "GET", "/directory/2026-W41")
        assert (status, problem(body)) == (502, "gateway-down")
        back = Gateway(port)
        try:
            assert ask(relay, "POST", "/ohttp", SEALED, {"Content-Type": TYPE})[0] == 200
        finally:
            back.stop()


def _one_answer(listener: socket.socket, answer: bytes) -> None:
    line, _ = listener.accept()
    with line:
        line.recv(65536)
        line.sendall(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 262145\r\n\r\n" + bytes(262145),
        b"HTTP/1.1 200 OK\r\n\r\nno length",
        b"SSH-2.0\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_plain_becomes_gateway_down(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=_one_answer, args=(listener, answer))
        serving.start()
        with relay_process(listener.getsockname()[1]) as (_, port):
            status, _, body = ask(port, "POST", "/ohttp", SEALED, {"Content-Type": TYPE})
        serving.join(5)
    assert (status, problem(body)) == (502, "gateway-down")


def test_many_fresh_connections_share_few_to_the_gateway(gateway: Gateway, relay: int) -> None:
    def send_some() -> None:
        for _ in range(25):
            assert ask(relay, "POST", "/ohttp", SEALED, {"Content-Type": TYPE})[0] == 200

    senders = [threading.Thread(target=send_some) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(20)
    assert len(gateway.seen) == 100


def test_the_record_holds_every_byte_of_both_directions(gateway: Gateway, tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    with relay_process(gateway.server_port, "--record", str(tape)) as (_, port):
        ask(port, "POST", "/ohttp", SEALED, {"Content-Type": TYPE, "X-Box": "seven"})
    kept = tape.read_bytes()
    assert kept.count(SEALED) == 2  # from the box, and to the gateway
    assert kept.count(b"sealed answer") == 2
    assert kept.count(b"X-Box: seven") == 1
    assert b"\n--- to gateway " in kept


def test_sigterm_ends_it_with_counts_and_nothing_else_was_said(gateway: Gateway) -> None:
    with relay_process(gateway.server_port) as (process, port):
        ask(port, "POST", "/ohttp", SEALED, {"Content-Type": TYPE})
        ask(port, "GET", "/elsewhere")
        process.send_signal(signal.SIGTERM)
        said, complained = process.communicate(timeout=5)
    assert said == 'relay passed {"not-found": 1, "sealed-passed": 1}\n'
    assert not complained
    assert process.returncode == 0


def test_it_ends_when_its_parent_dies(gateway: Gateway) -> None:
    script = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-m', 'simulator.relay', '--listen',"
        f"'127.0.0.1:0', '--gateway', 'http://127.0.0.1:{gateway.server_port}'], stdout=subprocess.PIPE);"
        "p.stdout.readline(); print(p.pid, flush=True); import time; time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        relay = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{relay}/status").exists() and time.monotonic() < deadline:
        if "\nState:\tZ" in Path(f"/proc/{relay}/status").read_text():
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{relay}").exists()
    assert os.getpid() != relay


@pytest.mark.parametrize(
    "address", ["0.0.0.0:80", "10.0.0.1:80", "127.0.0.1", "127.0.0.1:", "example.org:80", "127.0.0.1:x"]
)
def test_addresses_off_loopback_are_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotLoopbackError):
        _loopback(address)
    assert main(["--listen", address, "--gateway", "http://127.0.0.1:1"]) == 2
    assert main(["--listen", "127.0.0.1:0", "--gateway", f"http://{address}"]) == 2
    assert "127.0.0.1:8000" in capsys.readouterr().err


def test_of_too_many_weeks_the_oldest_is_forgotten() -> None:
    relay = Relay(None, None)  # type: ignore[arg-type] # keeping asks neither
    for number in range(MAX_WEEKS + 1):
        relay._keep(f"2026-W{number:02}", Answer(200, "a/b", b""))
    assert len(relay._directories) == MAX_WEEKS
    assert "2026-W00" not in relay._directories
