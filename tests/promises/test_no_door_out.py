"""The headend opens no connection but to its own records: the serving process is watched while it works.

Two watchers: Linux's tables of sockets, held against the process's own descriptors, which see whatever opens
a socket; and a hook on Python's own socket calls, which misses nothing however short it is.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from shared.system_clock import ClockSteerer
from tests.roles import made

pytestmark = pytest.mark.promise

HEADEND = [sys.executable, "-m", "headend"]
START = datetime(2026, 10, 16, 12, tzinfo=UTC)
LISTEN = "0A"
HOOK = """
import os, sys

def hook(name, given):
    if name in {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"}:
        with open(os.environ["CALLS"], "a") as calls:
            calls.write(f"{name} {given[1:] if name != 'socket.getaddrinfo' else given}\\n")

sys.addaudithook(hook)
"""
TABLES = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6")


def family(pid):
    """A process with all its descendants that still stand."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += family(int(child))
    return found


def sockets_of(pid):
    """The inodes of the sockets that a process holds open."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if match := re.fullmatch(r"socket:\[(\d+)\]", target):
            inodes.add(match[1])
    return inodes


def doors(pid, port):
    """The network sockets of a process and its children that are neither the listener nor its clients."""
    held = {inode for one in family(pid) for inode in sockets_of(one)}
    found = set()
    for table in TABLES:
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            local, remote, state, inode = fields[1], fields[2], fields[3], fields[9]
            if inode in held and not (table.startswith("tcp") and int(local.split(":")[1], 16) == port):
                found.add((table, local, remote, "listening" if state == LISTEN else "connected"))
    return found


class Watch:
    """Looks at a process's doors every few milliseconds until it is closed."""

    def __init__(self, pid, port):
        self.seen, self.looks = set(), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(pid, port))
        self._thread.start()

    def _look(self, pid, port):
        while not self._stop.wait(0.005):
            try:
                self.seen |= doors(pid, port)
            except OSError:
                continue
            self.looks += 1

    def close(self):
        self._stop.set()
        self._thread.join()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ask(port, method, path, body=None, content_type="application/json"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": content_type} if body is not None else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def until(what, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@pytest.fixture(params=["files", "postgresql"])
def records(request):
    """Where the records are: what `init` is told of it, and the server that may be spoken to."""
    if request.param == "files":
        yield [], set()
        return
    with made(request.getfixturevalue("server"), f"d{os.getpid()}") as address:
        yield ["--database", address], over_the_network(address)


def over_the_network(url):
    """A server's end of a connection, as the kernel's tables spell it; there is none on a local socket."""
    told = psycopg.conninfo.conninfo_to_dict(url)
    if str(told.get("host", "")).startswith("/"):
        return set()
    address = socket.gethostbyname(told.get("hostaddr") or told["host"])
    number = int.from_bytes(socket.inet_aton(address), sys.byteorder)
    return {f"{number:08X}:{int(told.get('port', 5432)):04X}"}


@pytest.fixture
def headend(tmp_path, records):
    """A real installation of its own clock, served as an operator serves it, with the hook inside."""
    clock = ClockSteerer(tmp_path / "clock", START)
    folder, port = tmp_path / "headend", free_port()
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    environment = {
        **os.environ,
        "CALLS": str(tmp_path / "calls"),
        "PYTHONPATH": str(tmp_path / "hook"),
    }
    kept, _ = records
    init = [*HEADEND, "init", str(folder), "--simulated", "--clock", str(tmp_path / "clock"), *kept]
    subprocess.run(init, check=True, capture_output=True, env=environment)
    served = subprocess.Popen(
        [*HEADEND, "serve", str(folder), "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: ask(port, "GET", "/readyz")[0] == 200)
        yield served.pid, port, clock, tmp_path / "calls"
    finally:
        served.send_signal(signal.SIGTERM)
        try:
            served.wait(15)
        except subprocess.TimeoutExpired:
            served.kill()
            served.wait()


def requests_of_every_kind(port):
    """Everything that is answered to people who are not known here, and what is refused them."""
    answers = {
        path: ask(port, "GET", path)[0]
        for path in (
            "/healthz",
            "/readyz",
            "/metrics",
            "/",
            "/console/",
            "/console/sign-in",
            "/billing/v1/directory/2026-W43",
            "/billing/v1/catalogue",
            "/analytics/directory/2026-W43",
            "/nowhere",
        )
    }
    for path in ("enrol", "chain", "heartbeat", "tokens"):
        answers[path] = ask(port, "POST", f"/billing/v1/{path}", b'{"envelopes":[{}]}')[0]
    answers["ohttp"] = ask(port, "POST", "/analytics/ohttp", b"\x2a" * 823, "message/ohttp-req")[0]
    return answers


def all_jobs_done(port, instant):
    found = json.loads(ask(port, "GET", "/readyz")[1])
    return found["next_job_due_ms"] > instant.timestamp() * 1000


def test_a_serving_headend_opens_no_connection_whatever_it_is_asked_and_whatever_is_due(headend, records):
    pid, port, clock, calls = headend
    watch = Watch(pid, port)
    try:
        answers = requests_of_every_kind(port)
        # A week, its release in a process of its own, and a month's bills.
        for days in (4, 11, 18):
            clock.set(START + timedelta(days=days))
            until(lambda days=days: all_jobs_done(port, START + timedelta(days=days)))
        requests_of_every_kind(port)
    finally:
        watch.close()
    assert answers["/billing/v1/directory/2026-W43"] == answers["/analytics/directory/2026-W43"] == 200
    assert answers["chain"] == answers["ohttp"] == 400
    assert watch.looks > 20
    assert {door for door in watch.seen if door[2] not in records[1]} == set()
    assert (calls.read_text() if calls.exists() else "") == ""


def test_the_watch_sees_a_door_that_opens():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        talk = f"import socket, time; s = socket.create_connection(('127.0.0.1', {port})); time.sleep(30)"
        talker = subprocess.Popen([sys.executable, "-c", talk])
        try:
            seen = until(lambda: doors(talker.pid, port=1))
        finally:
            talker.kill()
            talker.wait()
    assert {state for _, _, _, state in seen} == {"connected"}


def test_the_hook_hears_a_name_that_is_looked_up_and_a_call_that_fails(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    talk = (
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9), 0.1)\nexcept OSError:\n    pass"
    )
    subprocess.run(
        [sys.executable, "-c", talk],
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "CALLS": str(tmp_path / "calls")},
    )
    heard = (tmp_path / "calls").read_text()
    assert "socket.getaddrinfo" in heard
    assert "socket.connect" in heard
