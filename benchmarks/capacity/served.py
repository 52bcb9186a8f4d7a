"""What one request costs the process that serves, HTTP included, and how many bytes it is on the wire.

A real `headend serve` over 100,000 boxes is asked by the box's own lines, eight at once; some requests go
through a proxy that counts. What the process spends while nobody asks is taken off. TLS is told apart: bytes
and CPU time of a full handshake, at nginx as it stands before a headend.
"""

import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.gateway import wait_until_ready
from benchmarks.growth import units
from benchmarks.growth.sized import NOW_MS, RUNNING, Size
from benchmarks.growth.world import World, build
from benchmarks.weight.line import Proxy, own_tls
from benchmarks.weight.proc import family_s
from box_agent.lines import HttpAnonymousLine, HttpNamedLine, RefusedError
from shared import dsse
from shared.named import Catalogue, encode
from shared.system_clock import SystemClock

SIZE = Size(100_000, 1)
TIMES = 1_500
COUNTED = 20
AT_ONCE = 8
QUIET_S = 8.0
HANDSHAKES = 2_000
_FRAME = b'{"envelopes":[', b"]}"


@dataclass(frozen=True)
class Exchange:
    """One request: microseconds of the serving process, and bytes of both directions without TLS."""

    kind: str
    cpu_us: float
    wire: float


class Served:
    """A served installation with a counting proxy before it."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid = pid
        self._port = port
        self._proxy = Proxy(port)
        self._clock = SystemClock()
        self._idle = self._spent_idly()

    def _spent_idly(self) -> float:
        threading.Event().wait(QUIET_S / 2)  # what is due at the start
        before = family_s(self._pid)
        threading.Event().wait(QUIET_S)
        return (family_s(self._pid) - before) / QUIET_S

    def named(
        self, kind: str, ask: Callable[[HttpNamedLine, bytes], object], bodies: list[bytes]
    ) -> Exchange:
        """Ask all of these on the named line."""
        return self._exchange(kind, ask, bodies, HttpNamedLine)

    def anonymous(
        self, kind: str, ask: Callable[[HttpAnonymousLine, bytes], object], bodies: list[bytes]
    ) -> Exchange:
        """Ask all of these on the anonymous line, as the relay does."""
        return self._exchange(kind, ask, bodies, lambda url, ca: HttpAnonymousLine(f"{url}/analytics", ca))

    def _exchange(
        self,
        kind: str,
        ask: Callable[[Any, bytes], object],
        bodies: list[bytes],
        line: Callable[[str, None], Any],
    ) -> Exchange:
        """Bytes by some requests through the proxy; CPU time by the rest, several at once without it."""
        counted, busy = bodies[:COUNTED], bodies[COUNTED:]
        through, wire = line(f"http://127.0.0.1:{self._proxy.port}", None), self._proxy.total()
        for body in counted:
            ask(through, body)
        wire = self._proxy.total() - wire
        lines = [line(f"http://127.0.0.1:{self._port}", None) for _ in range(AT_ONCE)]
        spent, began = family_s(self._pid), self._clock.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            parts = [pool.submit(_all, ask, one, busy[at::AT_ONCE]) for at, one in enumerate(lines)]
            for part in parts:
                part.result()
        idle = self._idle * (self._clock.monotonic() - began)
        cpu = (family_s(self._pid) - spent - idle) / len(busy)
        return Exchange(kind, 1e6 * cpu, wire / len(counted))


def _all(ask: Callable[[Any, bytes], object], line: object, bodies: list[bytes]) -> None:
    for body in bodies:
        ask(line, body)


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """`headend serve` over an installation."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "headend", "serve", str(folder), "--port", str(port)]
    served = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port)
        yield Served(served.pid, port)
    finally:
        served.terminate()
        served.wait(30)


def exchanges(folder: Path) -> list[Exchange]:
    """Every kind of request that boxes make."""
    world = build(folder, SIZE, Ed25519PrivateKey.generate())
    bodies = _bodies(world)
    world.headend.close()
    nothing = [b""] * TIMES
    with serving(world.headend.installation.folder) as served:
        return [
            *(
                served.named(kind, lambda line, body: line.post("chain", body), bodies[kind])
                for kind in ("paid order", "delivery")
            ),
            served.named("heartbeat", lambda line, body: line.post("heartbeat", body), bodies["heartbeat"]),
            served.named("one token", lambda line, body: line.post("tokens", body), bodies["one token"]),
            served.named("tokens", lambda line, body: line.post("tokens", body), bodies["tokens"]),
            served.named("tokens refused", _refused, bodies["tokens refused"]),
            served.named("catalogue", lambda line, _: line.get("catalogue"), nothing),
            served.named("directory", lambda line, _: line.get(f"directory/{RUNNING}"), nothing),
            served.anonymous("fragment", lambda line, body: line.post_sealed(body), bodies["fragment"]),
            served.anonymous("relayed directory", lambda line, _: line.get_directory(str(RUNNING)), nothing),
        ]


def _refused(line: HttpNamedLine, body: bytes) -> None:
    with suppress(RefusedError):
        line.post("tokens", body)


def _bodies(world: World) -> dict[str, list[bytes]]:
    ordered, told = units.orders_and_deliveries(world, TIMES)
    return {
        "paid order": [one.join(_FRAME) for one in ordered],
        "delivery": [one.join(_FRAME) for one in told],
        "heartbeat": units.beats(world, TIMES),
        "one token": units.asks(world, TIMES, measures=1),
        "tokens": units.asks(world, TIMES),
        "tokens refused": units.asks(world, TIMES, drawn=False),
        "fragment": units.Fragments(world).take(world, TIMES),
    }


def catalogue() -> float:
    """Bytes of a signed catalogue for each offer."""
    key = Ed25519PrivateKey.generate()
    small, large = (
        len(
            dsse.sign(
                encode(Catalogue(version=1, issued_ms=NOW_MS, offers=units.SOLD[:count])),
                dsse.PayloadType.CATALOGUE,
                key,
                "c",
            )
        )
        for count in (1, len(units.SOLD))
    )
    return (large - small) / (len(units.SOLD) - 1)


def handshake(folder: Path) -> tuple[float, float]:
    """Microseconds of nginx for a full TLS 1.3 handshake (ECDSA P-256) with a small answer, and its bytes.

    Zeros where there is no nginx.
    """
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        return 0.0, 0.0
    own_tls(folder, SystemClock().now())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    served = subprocess.Popen(
        [nginx, "-p", str(folder), "-c", "nginx.conf", "-g", "daemon off;"], stderr=subprocess.DEVNULL
    )
    try:
        threading.Event().wait(1)
        return _shake(served.pid, port, folder / "pinned.pem")
    finally:
        served.terminate()
        served.wait(10)


_NGINX = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 256; }}
http {{
    access_log off;
    ssl_certificate {folder}/pinned.pem;
    ssl_certificate_key {folder}/private.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port} ssl; location / {{ return 204; }} }}
}}
"""


def _shake(pid: int, port: int, pinned: Path) -> tuple[float, float]:
    context, proxy = ssl.create_default_context(cafile=str(pinned)), Proxy(port)
    _one(context, proxy.port)
    threading.Event().wait(0.2)
    bytes_before = proxy.total()
    _one(context, proxy.port)
    threading.Event().wait(0.2)
    wire, before = proxy.total() - bytes_before, family_s(pid)
    for _ in range(HANDSHAKES):
        _one(context, port)
    return 1e6 * (family_s(pid) - before) / HANDSHAKES, wire


def _one(context: ssl.SSLContext, port: int) -> None:
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as sealed,
    ):
        sealed.sendall(b"GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
        while sealed.recv(4096):
            pass
