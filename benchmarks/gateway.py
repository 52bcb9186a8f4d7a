"""What the gateway accepts, durably and over real HTTP, beside what its cryptography alone would allow.

A real `headend gateway` is sent sealed fragments by clients in a process of their own. What is compared is
CPU time a fragment on one core, while the other is busy: that of the serving processes, and that of opening,
checking and sealing the answer with the same code and nothing around it, in this process. Every fragment's
token is genuine and its own; every answer is opened, and the counters are read afterwards.

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

from benchmarks.weight.proc import family_s
from headend.analytics.intake import OpenWeek, check, open_week
from headend.app import open_headend
from headend.installation import Installation, Settings
from headend.kit.engine import Shelf
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
CONNECTIONS = 96
WARM_UP = 400
ROUNDS = 9
AT_LEAST = 1_000
"""Fragments by which the floor is measured."""
MOST_HEAD = 64 * 1024
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Sealed:
    """A fragment as it is sent, and what opens its answer."""

    body: bytes
    context: ClientContext


def install(folder: Path, week: Week, databases: dict[str, str] | None = None) -> Installation:
    """A new installation in `folder` whose first week that is, in files or on the databases named."""
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
        databases=databases or {},
    )
    return Installation.create(folder / "headend", settings)


def opened_week(installation: Installation, week: Week) -> OpenWeek:
    """A week whose directory is published, as the gateway opens it."""
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
        headend = open_headend(installation)
        assert headend.billing is not None  # noqa: S101 (all sides were opened)
        shelf = headend.billing.store.shelf(installation.keys_of("billing"))
        self._keys = {
            measure.name: self._key(shelf, measure.name, week.week) for measure in profile("small").measures
        }
        headend.close()

    @staticmethod
    def _key(shelf: Shelf, measure: str, week: Week) -> RSAPrivateKey:
        key = load_pem_private_key(shelf.get(f"token-{week}-{measure}.pem") or b"", password=None)
        assert isinstance(key, RSAPrivateKey)  # noqa: S101 (token keys are)
        return key

    def make(self, measure: Measure, number: int, *, empty: bool = False) -> Sealed:
        """One fragment of a measure; `number` chooses its cell, unless it is to say `none`."""
        cell = 0 if empty else 1 + number % (11 if measure.grid else 1)
        value = 0 if empty else number % 17 if measure.kind is Kind.TIMED else 1
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


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Stay on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _busy(begun: Any, stop: Any, core: int) -> None:  # noqa: ANN401 (events of a context have no public type)
    """Do what the clients do: send small messages and read small answers."""
    near, far = socket.socketpair()
    begun.set()
    with near, far, on_core(core):
        while not stop.is_set():
            near.sendall(bytes(1_000))
            far.sendall(far.recv(1_000))
            near.recv(1_000)


@contextmanager
def busy_neighbour(core: int) -> Iterator[None]:
    """Keep the other core at work, as the clients do: cores of one processor share more than they tell."""
    context = get_context("spawn")
    begun, stop = context.Event(), context.Event()
    neighbour = context.Process(target=_busy, args=(begun, stop, core))
    neighbour.start()
    begun.wait()
    try:
        yield
    finally:
        stop.set()
        neighbour.join()


# The serving side, watched from outside.


@contextmanager
def serving(folder: Path, core: int) -> Iterator[tuple[int, int]]:
    """A real `headend gateway` over an installation: its process and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "headend", "gateway", str(folder), "--port", str(port)]
    command = ["taskset", "--cpu-list", str(core), *command]
    served = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port)
        yield served.pid, port
    finally:
        served.terminate()
        served.wait(20)


def wait_until_ready(port: int) -> None:
    """Wait until a headend answers on that port."""
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


async def _send(port: int, bodies: list[bytes]) -> dict[int, bytes]:
    answers: dict[int, bytes] = {}
    work = iter(enumerate(bodies))
    await asyncio.gather(*(_client(port, work, answers) for _ in range(CONNECTIONS)))
    return answers


def send(port: int, bodies: list[bytes], core: int) -> dict[int, bytes]:
    """Send all, over some lasting connections; answers with each one's answer."""
    with on_core(core):
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


@dataclass(frozen=True)
class Round:
    """CPU seconds a fragment: of the cryptography alone, of reading, of all; and how many were accepted."""

    floor: float
    reading: float
    each: float
    accepted: int

    @property
    def ratio(self) -> float:
        """The part of the ceiling that is reached."""
        return self.floor / self.each


def play(week: OpenWeek, fragments: list[Sealed], server: tuple[int, int], cores: tuple[int, int]) -> Round:
    """Measure the floor, then the server: what a core does changes from second to second."""
    pid, port = server
    with busy_neighbour(cores[1]), on_core(cores[0]):
        floor, reading = crypto_only(week, fragments[:AT_LEAST], SystemClock().now())
    before = family_s(pid)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as clients:
        bodies = [fragment.body for fragment in fragments]
        answers = clients.submit(send, port, bodies, cores[1]).result()
    each = (family_s(pid) - before) / len(fragments)
    return Round(floor, reading, each, _accepted(fragments, answers))


def _print_rate(what: str, seconds: float) -> None:
    print(f"{what:30}{1e6 * seconds:8.0f} CPU us a fragment{1 / seconds:10,.0f} a second and core")


def main() -> int:
    """Measure; 1 if the goal is missed, or if a fragment is not counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fragments", type=int, default=18_000)
    wanted = parser.parse_args().fragments
    measures, free = profile("small").measures, os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="stb-gateway-") as name:
        now = SystemClock().now()
        last_week = Week.of(now, ZONE).plus(-1)  # the one whose fragments are taken today
        installation = install(Path(name), last_week)
        week = opened_week(installation, last_week)
        mint = Mint(installation, week)
        fragments = [mint.make(measures[at % len(measures)], at) for at in range(wanted + WARM_UP)]
        cores = min(free), max(free)
        with serving(installation.folder, cores[0]) as server:
            send(server[1], [fragment.body for fragment in fragments[:WARM_UP]], cores[1])
            parts = [fragments[WARM_UP + at :: ROUNDS] for at in range(ROUNDS)]
            rounds = [play(week, part, server, cores) for part in parts]
        counted = _counted(installation)
    accepted, sent = sum(one.accepted for one in rounds), len(fragments) - WARM_UP
    middle = sorted(rounds, key=lambda one: one.ratio)[ROUNDS // 2]
    _print_rate("crypto only", middle.floor)
    _print_rate("and reading what is inside", middle.floor + middle.reading)
    _print_rate("accepted, durable, over HTTP", middle.each)
    ratios = ", ".join(f"{one.ratio:.2f}" for one in rounds)
    print(f"of the ceiling {middle.ratio:.2f} (goal {LEAST}); of {ROUNDS} rounds: {ratios}")
    print(f"answered 200: {accepted:,} of {sent:,}; counted {counted:,} of {len(fragments):,}")
    return int(middle.ratio < LEAST or accepted != sent or counted != len(fragments))


if __name__ == "__main__":
    raise SystemExit(main())
