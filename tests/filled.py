"""An installation with something on every page of the console: orders in every state, bills, releases.

Made through the sides' own doors: boxes sign, orders are rated, the month is billed. The clock stands still
at 23 November 2026.
"""

import secrets
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.console import releases
from headend.app import Headend, create_app, open_headend
from headend.billing import credits as corrections
from headend.billing import disputes, exports, receivers, suspense
from headend.billing.catalogue import publish_catalogue
from headend.billing.documents.document import Seller
from headend.billing.invoices import raise_month
from headend.billing.reconcile import raise_gap_alarms
from headend.billing.requests import answer_request, receive_request
from headend.billing.retention import record
from headend.billing.rows import OrderState, RequestKind
from headend.billing.sellers import set_seller
from headend.billing.suspense import Decision
from headend.installation import CATALOGUE_KEY, Installation
from shared.clock import to_ms
from shared.named import Evidence, Heartbeat, encode
from shared.system_clock import ClockSteerer
from shared.weeks import Month, Week
from tests.builders import DAY, HOUR, SETTINGS, SigningBox, account, offer, promotion

PASSWORD = "correct horse battery"
PEOPLE = {"alice": "billing", "bob": "analyst", "charlie": "admin", "dana": "privacy-officer"}
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NOW_MS = to_ms(NOW)
OCTOBER_MS = to_ms(datetime(2026, 10, 5, 18, 0, tzinfo=UTC))
BILLED_MS = to_ms(datetime(2026, 11, 3, 1, 0, tzinfo=UTC))
PROVINCES = {
    "Drenthe": "78 79 94",
    "Flevoland": "82 83",
    "Friesland": "84 85 86 87 88 89 90 91 92",
    "Gelderland": "40 41 65 66 67 68 69 70 71 72 73 80 81",
    "Groningen": "93 95 96 97 98 99",
    "Limburg (NL)": "58 59 60 61 62 63 64",
    "Noord-Brabant": "46 47 48 49 50 51 52 53 54 55 56 57",
    "Noord-Holland": "10 11 12 13 14 15 16 17 18 19 20 21",
    "Overijssel": "74 75 76 77",
    "Utrecht": "34 35 36 37 38 39",
    "Zeeland": "43 44 45",
    "Zuid-Holland": "22 23 24 25 26 27 28 29 30 31 32 33 42",
}
AREAS = {prefix: name for name, prefixes in PROVINCES.items() for prefix in prefixes.split()}
DONE = {
    "directory": "2026-W49",
    "draw": "2026-W48",
    "totals": "2026-W46",
    "forget-tokens": "2026-W46",
    "gaps": "2026-11-23",
    "retention": "2026-11-23",
}
"""The turns of billing's jobs that were done last."""
TITLES = ("The Lighthouse Keeper", "Paper Boats", "A Winter in Ghent", "Night Ferry", "The Cartographer")
ACCOUNTS = 24
NEWEST = Week(2026, 46)


def installation(folder: Path, weeks: int) -> Installation:
    """An empty simulated installation with the Dutch provinces as regions, `weeks` weeks before NOW."""
    clock = folder / "clock"
    folder.mkdir(parents=True, exist_ok=True)
    ClockSteerer(clock, NOW)
    settings = replace(
        SETTINGS,
        issuer="headend.example",
        profile="regional",
        simulated=True,
        clock=str(clock),
        regions=tuple(PROVINCES),
        areas=AREAS,
        first_week=str(NEWEST.plus(1 - weeks)),
    )
    return Installation.create(folder / "headend", settings)


def make(folder: Path, weeks: int = 9) -> Path:
    """A filled installation in `folder`, with four operators and so many weeks released."""
    made = installation(folder, weeks)
    headend = open_headend(made)
    try:
        fill_billing(headend)
        fill_analytics(headend, weeks)
        for name, role in PEOPLE.items():
            headend.console.operators.add_operator(name, role, PASSWORD, must_change=False)
    finally:
        headend.close()
    return made.folder


# --- billing


def fill_billing(headend: Headend) -> None:
    """Accounts, boxes, two months of orders, and what an operator has done with them."""
    billing = headend.billing
    store = billing.store
    sold = [
        offer(f"film-{n}", title=title, price_cents=299 + 100 * n, display="class" if n == 2 else "title")
        for n, title in enumerate(TITLES, 1)
    ]
    sold.append(
        offer("game-1", kind="game", genre="puzzle", title="Tower of Tiles", price_cents=999, window_hours=72)
    )
    sold.append(offer("free-1", mode="subscription", title="Harbour Lights", price_cents=0))
    catalogue = headend.installation.key(CATALOGUE_KEY)
    store.write(lambda tx: publish_catalogue(tx, sold, catalogue, OCTOBER_MS, [promotion()]))
    store.write(lambda tx: set_seller(tx, SELLER, "alice", OCTOBER_MS))
    areas = sorted(AREAS)
    boxes = []
    for n in range(1, ACCOUNTS + 1):
        name, area = f"nl-{n:04}", f"{areas[5 * n % len(areas)]}11"
        who = account(name, postal_area=area, language=("nl", "en", "fr")[n % 3], created_ms=OCTOBER_MS)
        store.write(lambda tx, who=who: tx.add_account(who))
        box = SigningBox(store, name, issued_ms=OCTOBER_MS, serial=f"SN-{n:04}")
        boxes.append(box.enrolled())
    evenings = sorted(
        (OCTOBER_MS + ((n * 5 + k * 11) % 48) * DAY + (n % 5) * HOUR, n, k)
        for n in range(ACCOUNTS)
        for k in range(2 + n % 7)
    )
    for evening in (one for one in evenings if one[0] < BILLED_MS - DAY):
        place_orders(boxes, *evening)
    act(headend)
    for evening in (one for one in evenings if one[0] >= BILLED_MS - DAY):
        if evening[0] > BILLED_MS + 8 * DAY and store.read().last_batch().batch == 1:
            store.write(lambda tx: exports.close_batch(tx, BILLED_MS + 8 * DAY))
        place_orders(boxes, *evening)
    hear(headend, boxes)
    ask(headend)


def place_orders(boxes: list[SigningBox], at_ms: int, n: int, k: int) -> None:
    """One household's evening with a film, a game or both; some say something odd."""
    box, film = boxes[n], 1 + (n + k) % 5
    said = {"at_ms": at_ms, "price_cents": 299 + 100 * film}
    if (n + k) % 19 == 3:
        said["price_cents"] = 199
    if (n + k) % 23 == 5:
        said["evidence"] = Evidence(
            pin_verified=True, consent_immediate_supply=False, confirmation_shown=True
        )
    envelopes = [box.order(f"film-{film}", **said)]
    envelopes.append(box.delivery(box.seq, "confirmed", at_ms + HOUR))
    if k == 1 and n % 4 == 0:
        envelopes.append(box.order("game-1", at_ms=at_ms + 2 * HOUR, price_cents=999))
    if k == 1 and n % 6 == 1:
        envelopes.append(box.order("free-1", at_ms=at_ms + 2 * HOUR, price_cents=0))
    if (n + k) % 29 == 7:
        envelopes.append(box.order("film-77", at_ms=at_ms + 3 * HOUR, price_cents=349))
    box.submit(*envelopes, now_ms=at_ms + 4 * HOUR)


def act(headend: Headend) -> None:
    """October's bills; a credit, disputes, decisions in suspense; a batch and its acknowledgement."""
    store = headend.billing.store
    raise_month(store, Month(2026, 10), BILLED_MS)
    bills = [bill for bill in store.read().invoices(None, 100) if len(bill.lines) > 1]
    first, second, third, fourth = (bill for bill in bills[:4])
    later = BILLED_MS + 3 * DAY

    def decide(tx) -> None:
        line = first.lines[0]
        corrections.credit_by(
            tx, first.number, {line.order_ref: line.cents}, ("did not play", "alice", later)
        )
        for bill in (second, third, fourth):
            disputes.open_dispute(tx, bill.number, bill.lines[0].order_ref, "I did not order this.", later)
        disputes.uphold(tx, 1, 100, "alice", later + DAY)
        disputes.dismiss(tx, 2, "ordered with the PIN", "alice", later + DAY)
        waiting = [order.ref for order in tx.orders(OrderState.SUSPENDED, None, 100)]
        suspense.reject(tx, waiting[0], Decision("a test of the shop", "alice", later))
        suspense.readmit(tx, waiting[1], Decision("the price was shown", "alice", later))

    store.write(decide)
    store.write(lambda tx: exports.close_batch(tx, later + DAY))
    key = store.write(
        lambda tx: receivers.create_key(tx, "ledger-1", receivers.SCOPES, later, secrets.token_bytes)
    )
    batch = store.read().batch(1)
    store.write(lambda tx: receivers.acknowledge(tx, batch, "ledger-1", batch.hash, later + DAY + HOUR))
    assert key
    store.write(lambda tx: tx.claim("invoices", "2026-10", BILLED_MS))


def ask(headend: Headend) -> None:
    """Subscribers' requests: one answered, two open, one of them soon due; a retention run."""
    store = headend.billing.store

    def note(tx) -> None:
        for name, kind, ago in (
            ("nl-0003", RequestKind.ACCESS, 40),
            ("nl-0005", RequestKind.ERASURE, 27),
            ("nl-0008", RequestKind.ACCESS, 6),
        ):
            at_ms = NOW_MS - ago * DAY
            receive_request(tx, name, kind, at_ms, ("dana", at_ms))
        answer_request(tx, 1, ("dana", NOW_MS - 30 * DAY))
        for days in (2, 1, 0):
            record(tx, {"messages": days}, NOW_MS - days * DAY - 4 * HOUR)
        for job, slot in DONE.items():
            tx.claim(job, slot, NOW_MS - 4 * HOUR)

    store.write(note)


def hear(headend: Headend, boxes: list[SigningBox]) -> None:
    """Heartbeats: some boxes are silent, one has placed what is not here yet."""
    for n, box in enumerate(boxes):
        told = box.seq + (2 if n == 5 else 0)
        beat_ms = NOW_MS - (n % 9) * (n % 9) * HOUR
        beat = Heartbeat(
            box=box.box,
            epoch=box.epoch,
            last_seq=told,
            last_hash=box.prev,
            sent_ms=beat_ms,
            agent="0.1.0" if n % 7 else "0.0.9",
        )
        tell(headend, box.sign(encode(beat)), beat_ms)
    headend.billing.store.write(lambda tx: raise_gap_alarms(tx, NOW_MS + 2 * DAY))


def tell(headend: Headend, envelope: bytes, at_ms: int) -> None:
    """A heartbeat as it comes in at an instant."""
    steerer = ClockSteerer(headend.installation.settings.clock, datetime.fromtimestamp(at_ms / 1000, UTC))
    client = create_app(headend).test_client()
    answer = client.post("/billing/v1/heartbeat", data=envelope, content_type="application/json")
    assert answer.status_code == 200, answer.text
    steerer.set(NOW)


SELLER = Seller("NL", "Lowland Television B.V.", "NL000000000B00", "Mediapark 1", "1217 WE", "Hilversum")


# --- analytics


def fill_analytics(headend: Headend, weeks: int) -> None:
    """So many releases, and the published directories of the weeks that are open or to come."""
    store = headend.analytics.store
    releases.fill(store, headend.installation.first_week, weeks, "regional", 3)
    store.forget(NEWEST, NOW_MS - 4 * HOUR)
    for week in (Week(2026, 47), Week(2026, 48)):
        headend.publish(week)
