"""What the gateway accepts, durably and over real HTTP, beside what its cryptography alone would allow.

A real `headend gateway` is sent sealed fragments by clients in a process of their own. What is compared is
CPU time a fragment: that of the serving processes, and that of opening, checking and sealing the answer with
the same code and nothing around it, in this process. Every fragment's token is genuine and its own; every
answer is opened, and the counters are read afterwards.

    python -m benchmarks.gateway --fragments 20000
"""

import argparse
import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from headend.analytics.intake import OpenWeek, check, open_week
from headend.app import open_headend
from headend.installation import Installation, Settings
from shared.anonymous import (
    FRAGMENT_AUTHORITY,
    FRAGMENT_PATH,
    FRAGMENT_TYPE,
    INNER_ANSWER_SIZE,
    INNER_REQUEST_SIZE,
    Fragment,
)
from shared.bhttp import Request, Response, decode_request, decode_response, encode_request, encode_response
from shared.directory import challenge
from shared.ohttp import (
    REQUEST_MEDIA_TYPE,
    RESPONSE_NONCE_BYTES,
    ClientContext,
    KeyConfig,
    encapsulate_request,
)
from shared.register import Kind, Measure, profile
from shared.system_clock import SystemClock
from shared.tokens import (
    NONCE_BYTES,
    Token,
    authorization_header,
    parse_authorization,
    token_key_id,
    token_key_spki,
    verify_token,
)
from shared.weeks import Week

LEAST = 0.45
"""The goal: so much of the crypto-only ceiling a core is accepted."""
ISSUER = "bench"
ZONE = ZoneInfo("Europe/Amsterdam")
CONNECTIONS = 48
WARM_UP = 400
MOST_HEAD = 64 * 1024
TICK = os.sysconf("SC_CLK_TCK")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Sealed:
    """A fragment as it is sent, and what opens its answer."""

    body: bytes
    context: ClientContext


def _installation(folder: Path, week: Week) -> Installation:
    settings = Settings(
        issuer=ISSUER,
        zone="Europe/Amsterdam",
        profile="small",
        country="NL",
        first_week=str(week),
        simulated=False,
        clock="",
        regions=(),
        areas={},
    )
    return Installation.create(folder / "headend", settings)


def _open_week(installation: Installation, week: Week) -> OpenWeek:
    headend = open_headend(installation)
    headend.publish(week)
    assert headend.analytics is not None  # noqa: S101 (all sides were opened)
    stored = headend.analytics.store.directory(week)
    assert stored is not None  # noqa: S101 (it was published above)
    found = open_week(stored, headend.analytics.keys.gateway(week))
    headend.close()
    return found


class Mint:
    """Makes genuine fragments: signs tokens with the installation's own keys, without the blinding."""

    def __init__(self, installation: Installation, week: OpenWeek) -> None:
        self._week = week.week
        self._config = KeyConfig.decode(week.gateway.config.encode())
        self._keys = {
            measure.name: self._key(installation, measure.name, week.week)
            for measure in profile("small").measures
        }

    @staticmethod
    def _key(installation: Installation, measure: str, week: Week) -> RSAPrivateKey:
        pem = (installation.keys_of("billing") / f"token-{week}-{measure}.pem").read_bytes()
        key = load_pem_private_key(pem, password=None)
        assert isinstance(key, RSAPrivateKey)  # noqa: S101 (token keys are)
        return key

    def make(self, measure: Measure, number: int) -> Sealed:
        """One fragment of a measure; `number` chooses its cell."""
        cell = 1 + number % (11 if measure.grid else 1)
        value = number % 17 if measure.kind is Kind.TIMED else 1
        token = authorization_header(self._token(measure))
        request = Request(
            "POST",
            "https",
            FRAGMENT_AUTHORITY,
            FRAGMENT_PATH,
            (("authorization", token), ("content-type", FRAGMENT_TYPE)),
            Fragment(measure.number, self._week, cell, value).encode(),
        )
        return Sealed(*encapsulate_request(self._config, encode_request(request, INNER_REQUEST_SIZE)))

    def _token(self, measure: Measure) -> Token:
        key = self._keys[measure.name]
        digest = challenge(ISSUER, measure.name, self._week).digest()
        key_id = token_key_id(token_key_spki(key.public_key()))
        blank = Token(os.urandom(NONCE_BYTES), digest, key_id, b"")
        scheme = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
        signature = key.sign(blank.signed_part(), scheme, hashes.SHA384())
        return Token(blank.nonce, digest, key_id, signature)


def crypto_only(week: OpenWeek, fragments: list[Sealed], now: datetime) -> tuple[float, float]:
    """CPU seconds a fragment of the cryptography alone, and what reading the inside adds to it."""
    answer = encode_response(Response(int(HTTPStatus.OK)), INNER_ANSWER_SIZE)
    keys = {key_id: right.key for key_id, right in week.rights.items()}
    tokens = [_token_in(week.gateway.open_request(one.body)[0]) for one in fragments]
    before = process_time()
    for one, token in zip(fragments, tokens, strict=True):
        _, context = week.gateway.open_request(one.body)
        verify_token(token, keys[token.key_id])
        context.seal_response(answer, os.urandom(RESPONSE_NONCE_BYTES))
    crypto = process_time() - before
    for one in fragments:
        inner, context = week.gateway.open_request(one.body)
        check(inner, week, now)
        context.seal_response(answer, os.urandom(RESPONSE_NONCE_BYTES))
    return crypto / len(fragments), (process_time() - before - 2 * crypto) / len(fragments)


def _token_in(inner: bytes) -> Token:
    return parse_authorization(dict(decode_request(inner).headers)["authorization"])


def _busy(stop: Any) -> None:  # noqa: ANN401 (an event of a multiprocessing context has no public type)
    while not stop.is_set():
        sum(range(10_000))


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keep the other core at work, as the clients do: cores of one processor share more than they tell."""
    context = get_context("spawn")
    stop = context.Event()
    neighbour = context.Process(target=_busy, args=(stop,))
    neighbour.start()
    try:
        yield
    finally:
        stop.set()
        neighbour.join()


# The serving side, watched from outside.


def family(pid: int) -> list[int]:
    """A process with all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time that a process and its descendants have taken (proc(5), stat)."""
    ticks = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, int]]:
    """A real `headend gateway` over an installation: its process and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "headend", "gateway", str(folder), "--port", str(port)]
    served = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_ready(port)
        yield served.pid, port
    finally:
        served.terminate()
        served.wait(20)


def _wait_until_ready(port: int) -> None:
    pause = threading.Event()
    for _ in range(300):
        try:
            if requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        pause.wait(0.1)
    raise SystemExit("the headend did not come up")


# The clients, in a process of their own.


async def _client(port: int, work: Iterator[tuple[int, bytes]], answers: dict[int, bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MOST_HEAD)
    for number, body in work:
        head = f"POST /analytics/ohttp HTTP/1.1\r\nHost: b\r\nContent-Type: {REQUEST_MEDIA_TYPE}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        told = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(told)
        answers[number] = await reader.readexactly(int(length[1]) if length else 0)
    writer.close()


async def _send(port: int, bodies: list[bytes]) -> tuple[float, dict[int, bytes]]:
    answers: dict[int, bytes] = {}
    work, clock = iter(enumerate(bodies)), SystemClock()
    began = clock.monotonic()
    await asyncio.gather(*(_client(port, work, answers) for _ in range(CONNECTIONS)))
    return clock.monotonic() - began, answers


def send(port: int, bodies: list[bytes]) -> tuple[float, dict[int, bytes]]:
    """Send all, over some lasting connections; answers with the seconds and each one's answer."""
    return asyncio.run(_send(port, bodies))


def _accepted(fragments: list[Sealed], answers: dict[int, bytes]) -> int:
    opened = (decode_response(one.context.open_response(answers[at])) for at, one in enumerate(fragments))
    return sum(answer.status == HTTPStatus.OK for answer in opened)


def _counted(installation: Installation) -> int:
    headend = open_headend(installation, ("analytics",))
    assert headend.analytics is not None  # noqa: S101 (it was asked for)
    found = sum(one.count for one in headend.analytics.store.accepted())
    headend.close()
    return found


def _print_rate(what: str, seconds: float) -> None:
    print(f"{what:30}{1e6 * seconds:8.0f} CPU us a fragment{1 / seconds:10,.0f} a second and core")


def main() -> int:
    """Measure; 1 if the goal is missed, or if a fragment is not counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fragments", type=int, default=10_000)
    wanted = parser.parse_args().fragments
    measures = profile("small").measures
    with tempfile.TemporaryDirectory(prefix="stb-gateway-") as name:
        now = SystemClock().now()
        last_week = Week.of(now, ZONE).plus(-1)  # the one whose fragments are taken today
        installation = _installation(Path(name), last_week)
        week = _open_week(installation, last_week)
        mint = Mint(installation, week)
        fragments = [mint.make(measures[at % len(measures)], at) for at in range(wanted + WARM_UP)]
        with busy_neighbour():
            floor, reading = sorted(crypto_only(week, fragments[:2_000], now) for _ in range(5))[2]
        with serving(installation.folder) as (pid, port):
            send(port, [one.body for one in fragments[:WARM_UP]])
            before = cpu_seconds(pid)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as clients:
                bodies = [one.body for one in fragments[WARM_UP:]]
                seconds, answers = clients.submit(send, port, bodies).result()
            each = (cpu_seconds(pid) - before) / wanted
        accepted, counted = _accepted(fragments[WARM_UP:], answers), _counted(installation)
    ratio = floor / each
    _print_rate("crypto only", floor)
    _print_rate("and reading what is inside", floor + reading)
    _print_rate("accepted, durable, over HTTP", each)
    print(f"of the ceiling {ratio:.2f} (goal {LEAST}); {wanted / seconds:,.0f} a second on this machine")
    print(f"answered 200: {accepted:,} of {wanted:,}; counted {counted:,} of {wanted + WARM_UP:,}")
    return int(ratio < LEAST or accepted != wanted or counted != wanted + WARM_UP)


if __name__ == "__main__":
    raise SystemExit(main())
