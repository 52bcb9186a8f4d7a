"""What one box's week costs, on the box and at the headend, beside the cryptography that it needs.

Real agents live a week of invented evenings and send it in the next; the headend is the real application,
called in this process, so that each side's CPU time can be told from the other's. Nothing crosses a network:
what HTTP costs a fragment is told by `benchmarks.gateway`. Jobs that run once for everybody (directories,
draws, releases) are not counted.

    python -m benchmarks.boxweek --boxes 24 --profile small
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from random import Random
from time import process_time

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from werkzeug.test import Client

from box_agent.app import Agent
from box_agent.events import Event, read_event
from box_agent.lines import Answer, RefusedError, problem_name
from box_agent.settings import BoxSettings
from headend.app import Headend, create_app, open_headend
from headend.billing.accounts import add_code
from headend.billing.catalogue import publish_catalogue
from headend.billing.rows import Account
from headend.billing.signer import RsaSigner
from headend.billing.store import BillingTx
from headend.installation import CATALOGUE_KEY, DIRECTORY_KEY, Installation, Settings
from shared import dsse, tokens
from shared.anonymous import INNER_ANSWER_SIZE, INNER_REQUEST_SIZE
from shared.clock import from_ms, to_ms
from shared.named import AccountId
from shared.notice import notice_version
from shared.ohttp import REQUEST_MEDIA_TYPE, RESPONSE_NONCE_BYTES, Gateway, encapsulate_request
from shared.register import Profile, profile, profile_names
from shared.system_clock import ClockSteerer, SteeredClock
from shared.weeks import Week
from simulator.evenings import Evenings, Report
from simulator.guide import Guide, Taste
from simulator.offers import Title, make_titles, open_shop
from simulator.town import Box, Household, Town

SEED = 2006
WEEK = Week(2026, 41)
START = datetime(2026, 10, 1, 12, tzinfo=UTC)
FILMS, GAMES = 200, 30
ROUNDS = 60


class Meter:
    """CPU seconds spent in something."""

    def __init__(self) -> None:
        self.spent = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is spent within."""
        before = process_time()
        try:
            yield
        finally:
            self.spent += process_time() - before


class Line:
    """Both lines of a box, straight into the headend's application."""

    def __init__(self, web: Client, meter: Meter) -> None:
        self._web, self._meter = web, meter

    def post(self, path: str, body: bytes) -> Answer:
        """The named line."""
        return self._ask("POST", f"/billing/v1/{path}", "application/json", body)

    def get(self, path: str, etag: str | None = None) -> Answer:
        """The named line; entity tags are not used here."""
        del etag
        return self._ask("GET", f"/billing/v1/{path}", None, None)

    def post_sealed(self, body: bytes) -> Answer:
        """The anonymous line."""
        return self._ask("POST", "/analytics/ohttp", REQUEST_MEDIA_TYPE, body)

    def get_directory(self, week: str) -> Answer:
        """Likewise."""
        return self._ask("GET", f"/analytics/directory/{week}", None, None)

    def _ask(self, method: str, path: str, kind: str | None, body: bytes | None) -> Answer:
        with self._meter.running():
            answer = self._web.open(path, method=method, data=body, content_type=kind)
            status, told = answer.status_code, answer.data
        if status >= HTTPStatus.BAD_REQUEST:
            raise RefusedError(problem_name(told), status)
        return Answer(status, told)


def _installation(folder: Path, name: str) -> tuple[Installation, ClockSteerer]:
    steerer = ClockSteerer(folder / "clock", START)
    settings = Settings(
        issuer="bench",
        zone="Europe/Amsterdam",
        profile=name,
        country="NL",
        first_week=str(WEEK),
        simulated=True,
        clock=str(folder / "clock"),
        regions=("north", "south"),
        areas={"1": "north", "2": "south"},
    )
    return Installation.create(folder / "headend", settings), steerer


def _agent(folder: Path, installation: Installation, line: Line, serial: str) -> Agent:
    settings = msgspec.convert(
        {
            "headend_url": "https://headend.invalid",
            "relay_url": "https://relay.invalid",
            "issuer": "bench",
            "directory_key": installation.public_text(DIRECTORY_KEY),
            "catalogue_key": installation.public_text(CATALOGUE_KEY),
            "zone": "Europe/Amsterdam",
            "postal_area": "1012",
            "serial": serial,
            "state_dir": str(folder / serial),
        },
        BoxSettings,
    )
    return Agent(settings, (line, line), SteeredClock(folder / "clock"))


def _week_of_events(evenings: Evenings, home: Household, box: Box) -> list[Event]:
    days = [WEEK.monday() + timedelta(days=number) for number in range(7)]
    told = [one for day in days for one in evenings.day_events(home, box, day) if isinstance(one, Report)]
    return [read_event(dict(one.body) | {"at_ms": one.at_ms}) for one in told]


class Street:
    """Some boxes, moved through time together; `agents_cpu` is what their agents spent, lines included."""

    def __init__(self, headend: Headend, steerer: ClockSteerer) -> None:
        self._headend, self._steerer = headend, steerer
        self._clock = headend.installation.clock()
        self.agents: list[Agent] = []
        self.agents_cpu = Meter()

    def settle(self, until: datetime) -> None:
        """Tick whichever agent is due first, until nothing is due before `until`; then it is `until`."""
        while True:
            dues = [(agent.next_due() or until, at) for at, agent in enumerate(self.agents)]
            due, at = min(dues)
            self._go_to(min(due, until))
            if due >= until:
                return
            with self.agents_cpu.running():
                self.agents[at].tick()

    def report(self, agent: Agent, event: Event) -> None:
        """Let a player tell an agent."""
        with self.agents_cpu.running():
            agent.report(event)

    def _go_to(self, instant: datetime) -> None:
        if instant > self._clock.now():
            self._steerer.set(instant)
            self._headend.jobs.run_due()


def live(headend: Headend, steerer: ClockSteerer, boxes: int, folder: Path) -> tuple[float, float, int]:
    """Let boxes live their week; CPU seconds on all boxes, at the headend, and the events they took."""
    meter, zone = Meter(), headend.installation.zone
    line = Line(Client(create_app(headend)), meter)
    titles = make_titles(Random(SEED), FILMS, GAMES, to_ms(START))
    _publish(headend, titles)
    shop = open_shop(titles)
    evenings = Evenings(Guide(SEED, zone), shop, Taste.parse(""))
    town = Town(SEED, boxes)
    street, reports = Street(headend, steerer), []
    for home in map(town.household, range(boxes)):
        box = home.boxes[0]
        agent = _agent(folder, headend.installation, line, box.serial)
        agent.enrol(_code(headend, home.account))
        agent.set_consent(granted=True, notice=notice_version(), how="bench")
        street.agents.append(agent)
        reports += [(one.at_ms or 0, agent, one) for one in _week_of_events(evenings, home, box)]
    street.settle(WEEK.start(zone))
    meter.spent = street.agents_cpu.spent = 0.0
    for at_ms, agent, event in sorted(reports, key=lambda one: one[0]):
        street.settle(from_ms(at_ms))
        street.report(agent, event)
    street.settle(WEEK.closes(zone) - timedelta(hours=1))
    return street.agents_cpu.spent - meter.spent, meter.spent, len(reports)


def _publish(headend: Headend, titles: list[Title]) -> None:
    assert headend.billing is not None  # noqa: S101 (all sides were opened)
    key, now_ms = headend.billing.setup.catalogue_key, headend.billing.now_ms()
    offers = [title.offer for title in titles]
    headend.billing.store.write(lambda tx: publish_catalogue(tx, offers, key, now_ms, []))


def _code(headend: Headend, account: AccountId) -> str:
    assert headend.billing is not None  # noqa: S101 (all sides were opened)
    now_ms = headend.billing.now_ms()
    new = Account(
        account=account,
        zone="Europe/Amsterdam",
        country="NL",
        postal_area="1012",
        language="nl",
        spending_limit_cents=None,
        created_ms=now_ms,
    )

    def work(tx: BillingTx) -> str:
        tx.add_account(new)
        return add_code(tx, account, None, now_ms, os.urandom)

    return headend.billing.store.write(work)


def floor(taken: Profile) -> tuple[float, float]:
    """CPU seconds of a week's cryptography and nothing else: on the box, and at the headend."""
    key, signer = Ed25519PrivateKey.generate(), RsaSigner.generate()
    gateway, spki = Gateway(X25519PrivateKey.generate(), 1), signer.public_spki
    fragments = sum(measure.quota for measure in taken.measures)
    box, headend = Meter(), Meter()
    for _ in range(max(1, ROUNDS // fragments)):
        with box.running():
            envelope = dsse.sign(b"{}", dsse.PayloadType.NAMED, key, "box")
        with headend.running():
            dsse.verify(envelope, dsse.PayloadType.NAMED, key.public_key())
        for _ in range(fragments):
            _one_fragment((box, headend), gateway, signer, spki)
    rounds = max(1, ROUNDS // fragments)
    return box.spent / rounds, headend.spent / rounds


def _one_fragment(meters: tuple[Meter, Meter], gateway: Gateway, signer: RsaSigner, spki: bytes) -> None:
    box, headend = meters
    with box.running():
        pending = tokens.blind(tokens.prepare(bytes(32), spki, os.urandom(32)), spki)
    with headend.running():
        signed = signer.blind_sign(tokens.TokenRequest.decode(pending.request).blinded)
    with box.running():
        token = tokens.finalize(pending, spki, signed)
        sealed, context = encapsulate_request(gateway.config, bytes(INNER_REQUEST_SIZE))
    with headend.running():
        _, server = gateway.open_request(sealed)
        tokens.verify_token(token, tokens.read_token_key(spki))
        answer = server.seal_response(bytes(INNER_ANSWER_SIZE), os.urandom(RESPONSE_NONCE_BYTES))
    with box.running():
        context.open_response(answer)


def main() -> int:
    """Measure; 1 if a fragment of a box was not counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, default=24)
    parser.add_argument("--profile", default="small", choices=profile_names())
    asked = parser.parse_args()
    taken = profile(asked.profile)
    least = floor(taken)
    with tempfile.TemporaryDirectory(prefix="stb-boxweek-") as name:
        installation, steerer = _installation(Path(name), asked.profile)
        headend = open_headend(installation)
        headend.jobs.run_due()
        *spent, events = live(headend, steerer, asked.boxes, Path(name))
        assert headend.analytics is not None  # noqa: S101 (all sides were opened)
        counted = sum(one.count for one in headend.analytics.store.accepted())
        headend.close()
    wanted = asked.boxes * sum(measure.quota for measure in taken.measures)
    print(f"profile {asked.profile}: {asked.boxes} boxes, {events / asked.boxes:.0f} events a box and week")
    for where, seconds, crypto in zip(("box", "headend"), spent, least, strict=True):
        each = seconds / asked.boxes
        print(
            f"{where:8}{1e3 * each:8.1f} CPU ms a box and week; cryptography alone {1e3 * crypto:6.1f}"
            f" ({crypto / each:.2f} of it)"
        )
    print(f"fragments counted: {counted:,} of {wanted:,}")
    return int(counted != wanted)


if __name__ == "__main__":
    raise SystemExit(main())
