"""A small analytics installation with its directory, token keys and boxes that send."""

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.analytics.side import AnalyticsSide, Setup
from headend.directories import make_directory
from headend.disclosure import Kind, Purpose, Recipient, clear
from headend.installation import Settings
from shared.anonymous import (
    FRAGMENT_AUTHORITY,
    FRAGMENT_PATH,
    FRAGMENT_TYPE,
    INNER_REQUEST_SIZE,
    Fragment,
)
from shared.bhttp import Request, Response, decode_response, encode_request
from shared.clock import ManualClock
from shared.directory import challenge
from shared.ohttp import ClientContext, KeyConfig, encapsulate_request
from shared.register import profile
from shared.tokens import Token, authorization_header, token_key_id, token_key_spki
from shared.totals import BoxTotals
from shared.weeks import Week
from tests.engines import place, tables

ZONE = ZoneInfo("Europe/Amsterdam")
WEEK = Week(2026, 41)
ISSUER = "issuer.example"
DIRECTORY_KEY = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
SETTINGS = Settings(
    issuer=ISSUER,
    zone="Europe/Amsterdam",
    profile="small",
    country="NL",
    first_week=str(WEEK),
    simulated=True,
    clock="",
    regions=("north", "south"),
    areas={"1": "north", "2": "south"},
)


@cache
def token_private_key(_number: int) -> rsa.RSAPrivateKey:
    """One RSA key a measure number, shared by all tests: making one takes a while."""
    return rsa.generate_private_key(65537, 2048)


def spki(measure: str, taken: str = "small") -> bytes:
    number = profile(taken).measure(measure).number
    return token_key_spki(token_private_key(number).public_key())


def token(
    measure: str, week: Week = WEEK, *, issuer: str = ISSUER, key: str = "", nonce: bytes = b""
) -> Token:
    """A genuine token, signed without the blinding."""
    key = key or measure
    digest = challenge(issuer, measure, week).digest()
    blank = Token(nonce or os.urandom(32), digest, token_key_id(spki(key)), bytes(256))
    private = token_private_key(profile("small").measure(key).number)
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    return replace(blank, authenticator=private.sign(blank.signed_part(), pss, hashes.SHA384()))


def fragment_request(fragment: Fragment, paid: Token | None) -> Request:
    headers = [("content-type", FRAGMENT_TYPE)]
    if paid is not None:
        headers.append(("authorization", authorization_header(paid)))
    return Request("POST", "https", FRAGMENT_AUTHORITY, FRAGMENT_PATH, tuple(headers), fragment.encode())


@dataclass
class Town:
    """An analytics side with a clock that the test moves."""

    side: AnalyticsSide
    clock: ManualClock
    setup: Setup

    def publish(self, week: Week = WEEK) -> bytes:
        taken = self.setup.profile
        keys = {measure.name: spki(measure.name, taken.name) for measure in taken.measures}
        settings = replace(SETTINGS, profile=taken.name)
        envelope = make_directory(settings, week, keys, self.side.key_config(week), DIRECTORY_KEY)
        self.side.accept_directory(clear(envelope, Kind.DIRECTORY, Recipient.BOXES, Purpose.PROTOCOL))
        return envelope

    def hand_totals(self, week: Week = WEEK, *, asked: int = 400, issued: int = 400) -> None:
        names = [measure.name for measure in self.setup.profile.measures]
        totals = BoxTotals(
            week=str(week),
            boxes={"north": 500, "south": 300},
            accounts_drawn=asked + 100,
            accounts_asked=asked,
            issued=dict.fromkeys(names, issued),
        )
        payload = msgspec.json.encode(totals)
        cleared = clear(payload, Kind.BOX_TOTALS, Recipient.ANALYTICS, Purpose.EXTRAPOLATION)
        self.side.accept_totals(cleared)

    def seal(self, request: Request, week: Week = WEEK) -> tuple[bytes, ClientContext]:
        config = KeyConfig.decode(self.side.key_config(week))
        return encapsulate_request(config, encode_request(request, INNER_REQUEST_SIZE))

    def send(self, request: Request, week: Week = WEEK) -> Response:
        sealed, context = self.seal(request, week)
        return decode_response(context.open_response(self.side.intake.answer(sealed)))

    def send_genre(self, cell: int, week: Week = WEEK, paid: Token | None = None) -> Response:
        value = 1 if cell else 0
        return self.send(fragment_request(Fragment(1, week, cell, value), paid or token("genre", week)), week)

    def counters(self, week: Week = WEEK) -> dict[tuple[str, int], tuple[int, int]]:
        return self.side.store.at_release_desk(
            lambda desk: {(one.measure, one.cell): (one.amount, one.rest) for one in desk.counters(week)}
        )

    def accepted(self) -> dict[str, int]:
        return {one.measure: one.count for one in self.side.store.accepted()}

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """Everything in the database but the tally."""
        connection = self.side.store.storage.read()  # type: ignore[attr-defined]
        names = tables(connection)
        return {
            name: [tuple(row) for row in connection.execute(f"SELECT * FROM {name}")]
            for name in names
            if name != "tally"
        }


def make_setup(folder: Path, clock: ManualClock, **changes: object) -> Setup:
    setup = Setup(
        database=changes.get("database") or place("analytics", folder / "analytics.db"),
        archive=folder / "releases",
        keys=folder / "keys" / "analytics",
        clock=clock,
        zone=ZONE,
        profile=profile("small"),
        directory_key=DIRECTORY_KEY.public_key(),
        first_week=WEEK,
        simulated=True,
        spawn_release=lambda _week: None,
    )
    return replace(setup, **changes)  # type: ignore[arg-type]


def make_town(folder: Path, **changes: object) -> Town:
    clock = ManualClock(datetime(2026, 10, 5, 12, tzinfo=UTC))
    setup = make_setup(folder, clock, **changes)
    return Town(AnalyticsSide(setup), clock, setup)


def working_town(folder: Path) -> Town:
    """A town whose jobs draw releases in this process."""
    made: list[AnalyticsSide] = []

    def draw(week: Week) -> None:
        made[0].release(week)

    town = make_town(folder, spawn_release=draw)
    made.append(town.side)
    return town


def over(week: Week = WEEK) -> datetime:
    """A moment at which the week's fragments are taken."""
    return week.end(ZONE) + timedelta(days=1)


def closed(week: Week = WEEK) -> datetime:
    """The moment at which the week closes."""
    return week.closes(ZONE)
