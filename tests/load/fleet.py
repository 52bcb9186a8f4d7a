"""Real boxes before a real installation: enrolled, with signed chains, token requests and sealed fragments.

Everything is made through the headend's own doors before it is served, so that a generator only sends bytes.
"""

import base64
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gateway import ISSUER, ZONE, Mint, Sealed, install, opened_week
from headend.app import open_headend
from headend.billing import accounts
from headend.billing.catalogue import publish_catalogue
from headend.billing.store import BillingStore, BillingTx
from headend.installation import CATALOGUE_KEY, DIRECTORY_KEY, Installation
from shared import dsse
from shared.directory import Directory, challenge, read_directory
from shared.named import GENESIS, Heartbeat, MeasureRequest, TokenAsk, encode
from shared.ohttp import REQUEST_MEDIA_TYPE
from shared.register import Measure, profile
from shared.system_clock import SystemClock
from shared.tokens import NONCE_BYTES, blind, prepare
from shared.weeks import Week
from tests.builders import DAY, SigningBox, account, offer
from tests.load.plan import Kind

JSON = "application/json"
OFFERS = 400
APART_MS = 1000
NONE_EACH = 7
TOGETHER = 16
KINDS = {
    "order": Kind("named", "POST", "/billing/v1/chain", JSON, chains=True),
    "batch": Kind("named", "POST", "/billing/v1/chain", JSON, chains=True),
    "again": Kind("named", "POST", "/billing/v1/chain", JSON, chains=True),
    "heartbeat": Kind("named", "POST", "/billing/v1/heartbeat", JSON),
    "tokens": Kind("named", "POST", "/billing/v1/tokens", JSON),
    "catalogue": Kind("named", "GET", "/billing/v1/catalogue"),
    "fragment": Kind("anonymous", "POST", "/analytics/ohttp", REQUEST_MEDIA_TYPE, keeps_answers=True),
    "console": Kind("console", "GET", "/console/sign-in"),
}


@dataclass(frozen=True)
class Made:
    """A fragment: of which measure, whether it says `none`, and as it is sent."""

    measure: Measure
    empty: bool
    sealed: Sealed


@dataclass
class Fleet:
    """An installation, the boxes enrolled in it, and the fragments made for its last week."""

    installation: Installation
    last_week: Week
    now_ms: int
    boxes: list[SigningBox]
    mint: Mint
    fragments: list[Made] = field(default_factory=list)

    def heartbeats(self, boxes: list[SigningBox]) -> list[bytes]:
        """A sign of life from each, before it has placed anything."""
        return [
            box.sign(
                encode(
                    Heartbeat(
                        box=box.box,
                        epoch=box.epoch,
                        last_seq=0,
                        last_hash=GENESIS,
                        sent_ms=self.now_ms,
                        agent="box-agent/1",
                    )
                )
            )
            for box in boxes
        ]

    def token_asks(self, boxes: list[SigningBox]) -> list[bytes]:
        """What each asks for its running week's tokens, blinded as the agent does it."""
        week = self.last_week.plus(1)
        directory = _directory(self.installation, week)
        return [box.sign(encode(_token_ask(box, week, directory))) for box in boxes]

    def seal_fragments(self, count: int) -> list[bytes]:
        """So many more genuine fragments, each with a token of its own; some say `none`."""
        measures = profile("small").measures
        made = [
            Made(
                one := measures[at % len(measures)],
                empty := at % NONE_EACH == 0,
                self.mint.make(one, at, empty=empty),
            )
            for at in range(count)
        ]
        self.fragments += made
        return [one.sealed.body for one in made]

    def sign_orders(self, boxes: list[SigningBox], each: int = 1) -> list[list[bytes]]:
        """What these boxes place next: so many orders each, of titles that differ, a second apart."""
        return [[self._order(box, number) for _ in range(each)] for number, box in enumerate(boxes)]

    def _order(self, box: SigningBox, number: int) -> bytes:
        film = f"film-{(number + box.seq) % OFFERS}"
        envelope = box.order(film, at_ms=self.now_ms + APART_MS * box.seq)
        box.sent.clear()  # the generator keeps what is not acknowledged
        return envelope


def _directory(installation: Installation, week: Week) -> Directory:
    headend = open_headend(installation)
    raw = headend.publish(week)
    headend.close()
    return read_directory(
        dsse.verify(raw, dsse.PayloadType.DIRECTORY, installation.public(DIRECTORY_KEY)), week
    )


def _token_ask(box: SigningBox, week: Week, directory: Directory) -> TokenAsk:
    requests = []
    for measure in profile("small").measures:
        spki, digest = directory.token_key(measure.name), challenge(ISSUER, measure.name, week).digest()
        for _ in range(measure.quota):
            pending = blind(prepare(digest, spki, secrets.token_bytes(NONCE_BYTES)), spki)
            requests.append(MeasureRequest(measure.name, base64.b64encode(pending.request).decode()))
    return TokenAsk(box=box.box, week=str(week), requests=requests)


def enrol(folder: Path, boxes: int, databases: dict[str, str] | None = None) -> Fleet:
    """An installation in `folder` whose last week's fragments are taken today, and its boxes.

    Its databases are files, or those on PostgreSQL that `databases` names by side.
    """
    last_week = Week.of(SystemClock().now(), ZONE).plus(-1)
    installation = install(folder, last_week, databases)
    mint = Mint(installation, opened_week(installation, last_week))
    headend = open_headend(installation)
    assert headend.billing is not None
    store, now_ms = headend.billing.store, headend.billing.now_ms()
    sold = [offer(f"film-{n}", title=f"Film {n}", valid_from_ms=now_ms - 30 * DAY) for n in range(OFFERS)]
    key = installation.key(CATALOGUE_KEY)
    store.write(lambda tx: publish_catalogue(tx, sold, key, now_ms, []))
    enrolled = _enrol(store, boxes, now_ms)
    headend.publish(last_week.plus(1))
    headend.jobs.run_due()  # among them the draw: each account's only box reports
    headend.close()
    return Fleet(installation, last_week, now_ms, enrolled, mint)


def _enrol(store: BillingStore, count: int, now_ms: int) -> list[SigningBox]:
    boxes = [SigningBox(store, f"acc-{n}", issued_ms=now_ms, serial=f"SN-{n}") for n in range(count)]

    def admit(tx: BillingTx) -> list[str]:
        for box in boxes:
            tx.add_account(account(box.account, created_ms=now_ms))
        return [accounts.add_code(tx, box.account, None, now_ms, secrets.token_bytes) for box in boxes]

    def enrol_one(box: SigningBox, code: str) -> None:
        answer = accounts.enrol(store, box.enrolment(code), now_ms, secrets.token_bytes)
        box.box, box.epoch, box.seq, box.prev = answer.box, answer.epoch, 0, GENESIS

    codes = store.write(admit)
    with ThreadPoolExecutor(TOGETHER) as pool:  # together, so that one commit takes several
        list(pool.map(enrol_one, boxes, codes))
    return boxes
