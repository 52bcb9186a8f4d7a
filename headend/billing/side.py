"""Billing as the composition root serves it: the named line, the jobs, the pages."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Blueprint, Response, request

from headend.billing import accounts, exports, issuing, orders, reconcile
from headend.billing.engines import open_store
from headend.billing.formats.registry import BatchChangedError
from headend.billing.invoices import raise_month
from headend.billing.issuer_directory import make_issuer_directory
from headend.billing.issuing import Issuer, TokenKeys
from headend.billing.metrics import samples
from headend.billing.pages import offered
from headend.billing.pages.answering import Requests
from headend.billing.pages.desk import Desk
from headend.billing.pages.officer import SEARCH, Officer
from headend.billing.pages.tiles import tiles
from headend.billing.proving import NoSuchOrderError, NotClosedError, prove
from headend.billing.pull import make_pull
from headend.billing.refusals import BoxMismatchError, NotPublishedError, UnknownEpochError
from headend.billing.retention import job_retention
from headend.billing.store import BillingStore, BillingTx
from headend.kit.engine import Place
from headend.kit.hatches import Hatch
from headend.kit.http import MalformedError, RefusedError, Tally, body_of, json_answer, problem
from headend.kit.jobs import Job, Slot, day_slot, week_slot
from headend.kit.side import Side
from headend.kit.storage import StorageError, own_outcome
from shared.clock import Clock, to_ms
from shared.named import (
    MAX_SUBMISSION,
    Acknowledgement,
    Heartbeat,
    Submission,
    UnreadableMessageError,
    read,
)
from shared.register import Profile, in_force
from shared.totals import ROUNDED_TO, BoxTotals
from shared.weeks import Month, NotAWeekError, Week

JSON = "application/json"
CHAIN, BEAT = "/billing/v1/chain", "/billing/v1/heartbeat"
GROUP_LIMIT = 64
"""Submissions that are checked and committed together; more would only make the first of them wait longer."""
MAX_ENVELOPE = 32 * 1024
FORGOTTEN_AFTER = timedelta(days=1)
"""How long after a week has closed billing still knows who reported; the totals are handed over before."""
BILLED_AFTER = timedelta(days=2)
"""How long after a month's end its bills are raised, so that most late orders are on them."""


class WrongStampError(StorageError):
    """The database belongs to a simulated installation and this is none, or the other way round."""


@dataclass(frozen=True)
class Setup:
    """What billing is made of; `database` is its SQLite file, or the URL of its PostgreSQL database."""

    database: Place
    keys: Path
    clock: Clock
    zone: ZoneInfo
    taken: Profile
    first_week: Week
    catalogue_key: Ed25519PrivateKey
    billing_key: Ed25519PrivateKey
    region_of: Callable[[str], str]
    simulated: bool


class BillingSide:
    """Billing with its store, as the composition root and the command line hold it."""

    def __init__(self, setup: Setup, *, checkpoints: bool = False) -> None:
        self.setup = setup
        self.store: BillingStore = open_store(setup.database, checkpoints=checkpoints)
        self._stamp("simulated" if setup.simulated else "real")
        self.keys = TokenKeys(self.store.shelf(setup.keys))
        self.issuer = Issuer(self.store, self.keys, setup.clock, setup.zone, setup.taken)
        self.tally = Tally()
        self._forgotten: str | None = None
        officer = Officer(self.store, self.now_ms, setup.zone)
        answering = Requests(self.store, self.now_ms, setup.zone, self.prove_closed)
        desk = self._desk()
        self.side = Side(
            name="billing",
            blueprints=(self._blueprint(), self._pull(), self._issuer_directory()),
            jobs=[
                self._job_draw(),
                self._job_invoices(),
                self._job_forget(),
                self._job_gaps(),
                job_retention(self.store, setup.clock, setup.zone),
            ],
            pages=[*offered.make_pages(desk), *officer.pages(), *answering.pages()],
            deeds=[*offered.make_deeds(desk), *officer.deeds(), *answering.deeds()],
            downloads=[*offered.make_downloads(desk), *answering.downloads()],
            searches=[offered.SEARCH, SEARCH],
            tiles=lambda visit: [*tiles(desk, visit), *officer.tiles(visit)],
            measured=self.store.measured,
            metrics=self._metrics,
            ready=self._ready,
            close=self.close,
            flush=self.flush,
            hatches={
                CHAIN: Hatch(JSON, MAX_SUBMISSION, JSON, GROUP_LIMIT, self.take_chains, self.tally.add),
                BEAT: Hatch(JSON, MAX_ENVELOPE, JSON, GROUP_LIMIT, self.take_heartbeats, self.tally.add),
            },
        )

    def _desk(self) -> Desk:
        key = self.setup.billing_key
        return Desk(
            store=self.store,
            now_ms=self.now_ms,
            prove=lambda look, ref: prove(look, ref, key),
            head_of=lambda batch: exports.own_head(batch, key),
            signed_head=lambda batch: exports.signed_head(batch, key),
            random_bytes=os.urandom,
            next_bills=self._next_invoices,
        )

    def _stamp(self, kind: str) -> None:
        known = self.store.write(lambda tx: tx.stamp("installation", kind))
        if known != kind:
            self.store.close()
            raise WrongStampError(
                f"billing's database is that of a {known} installation, this is a {kind} one"
            )

    def now_ms(self) -> int:
        """The installation's clock, in Unix milliseconds."""
        return to_ms(self.setup.clock.now())

    def flush(self) -> None:
        """Store the counts of refusals, and let go of keys that another node has forgotten."""
        self._store_tally()
        forgotten = self.store.read().last_slot(issuing.FORGET)
        if forgotten != self._forgotten:
            self._forgotten = forgotten
            self.keys.let_go()

    def _store_tally(self) -> None:
        self.tally.store(lambda counts: self.store.write(lambda tx: tx.add_tally(counts)))

    def close(self) -> None:
        """Store what is still in memory and let go of the database."""
        self._store_tally()
        self.store.close()

    def _ready(self) -> None:
        self.store.read().last_entry()

    # --- the named line
    def _blueprint(self) -> Blueprint:
        blueprint = Blueprint("billing", __name__, url_prefix="/billing/v1")
        routes: tuple[tuple[str, str, Callable[..., Response]], ...] = (
            ("POST", "/enrol", self._enrol),
            ("POST", "/chain", self._chain),
            ("POST", "/heartbeat", self._heartbeat),
            ("POST", "/tokens", self._tokens),
            ("GET", "/catalogue", self._catalogue),
            ("GET", "/directory/<week>", self._directory),
        )
        for method, path, answer in routes:
            blueprint.add_url_rule(path, answer.__name__.strip("_"), answer, methods=[method])
        blueprint.register_error_handler(RefusedError, self._refuse)
        return blueprint

    def _pull(self) -> Blueprint:
        return make_pull(self.store, self.setup.billing_key, self.now_ms, self.tally)

    def _issuer_directory(self) -> Blueprint:
        return make_issuer_directory(self.keys, self.setup.taken, self.setup.clock.now, self.setup.zone)

    def _refuse(self, refusal: RefusedError) -> Response:
        self.tally.add(refusal.name)
        return problem(refusal)

    def _enrol(self) -> Response:
        enrolled = accounts.enrol(self.store, body_of(JSON, MAX_ENVELOPE), self.now_ms(), os.urandom)
        return json_answer(msgspec.json.encode(enrolled))

    def _chain(self) -> Response:
        (outcome,) = self.take_chains([body_of(JSON, MAX_SUBMISSION)])
        if isinstance(outcome, Exception):
            raise outcome
        return json_answer(outcome)

    def take_chains(self, bodies: list[bytes]) -> list[bytes | Exception]:
        """Take submissions as they come in, in one transaction: each one's acknowledgement, or its refusal.

        Raises:
            StorageError: the database is away; it may be sent again.
        """
        read_ones = [own_outcome(_read_submission, raw) for raw in bodies]
        whole = [one for one in read_ones if not isinstance(one, Exception)]
        outcomes = iter(orders.take_group(self.store, whole, self.now_ms()))
        told = (one if isinstance(one, Exception) else next(outcomes) for one in read_ones)
        return [one if isinstance(one, Exception) else msgspec.json.encode(one) for one in told]

    def _heartbeat(self) -> Response:
        (outcome,) = self.take_heartbeats([body_of(JSON, MAX_ENVELOPE)])
        if isinstance(outcome, Exception):
            raise outcome
        return json_answer(outcome)

    def take_heartbeats(self, bodies: list[bytes]) -> list[bytes | Exception]:
        """Take signs of life, in one transaction: each one's acknowledgement, or its refusal.

        Raises:
            StorageError: the database is away; they may be sent again.
        """
        look, now_ms = self.store.read(), self.now_ms()
        beats = [own_outcome(_read_beat, look, raw) for raw in bodies]
        whole = [beat for beat in beats if not isinstance(beat, Exception)]
        heard = iter(orders.commit_group(self.store, whole, lambda tx, beat: _hear(tx, beat, now_ms)))
        told = [beat if isinstance(beat, Exception) else next(heard) for beat in beats]
        version = look.catalogue_version()
        return [
            one if isinstance(one, Exception) else msgspec.json.encode(_acknowledged(look, one, version))
            for one in told
        ]

    def _tokens(self) -> Response:
        return json_answer(msgspec.json.encode(self.issuer.grant(body_of(JSON, MAX_SUBMISSION))))

    def _catalogue(self) -> Response:
        found = self.store.read().catalogue()
        if found is None:
            raise NotPublishedError("no catalogue yet")
        version, envelope = found
        answer = json_answer(envelope)
        answer.set_etag(str(version))
        return answer.make_conditional(request)  # type: ignore[return-value] # it answers with itself

    def _directory(self, week: str) -> Response:
        try:
            found = self.store.read().directory(str(Week.parse(week)))
        except NotAWeekError as error:
            raise NotPublishedError("no such week") from error
        if found is None:
            raise NotPublishedError("not published")
        return json_answer(found)

    # --- jobs
    def _job(self, name: str, next_slot: Callable[[], Slot], run: Callable[[Slot], None]) -> Job:
        return Job(name, next_slot, run, lambda: self.store.read().last_run(name))

    def _job_draw(self) -> Job:
        """Draw each account's reporting box when the week starts."""
        return self._job(issuing.DRAW, self._next_draw, self._draw)

    def _next_draw(self) -> Slot:
        return week_slot(
            self.store.read().last_slot(issuing.DRAW),
            self.setup.first_week,
            lambda week: week.start(self.setup.zone),
        )

    def _draw(self, slot: Slot) -> None:
        issuing.draw_reporting_boxes(self.store, Week.parse(slot.name), issuing.below, self.now_ms())

    def _job_forget(self) -> Job:
        """Forget a week's reporting boxes, grants and token keys, a day after it has closed."""
        return self._job(issuing.FORGET, self._next_forget, self._forget)

    def _next_forget(self) -> Slot:
        done = self.store.read().last_slot(issuing.FORGET)
        zone = self.setup.zone
        return week_slot(done, self.setup.first_week, lambda week: week.closes(zone) + FORGOTTEN_AFTER)

    def _forget(self, slot: Slot) -> None:
        week = Week.parse(slot.name)
        self.keys.destroy(week)
        issuing.forget_tokens(self.store, week, self.now_ms())

    def hold_tokens(self) -> tuple[Week, bool]:
        """Sign nothing new for the week that runs; tells which that is, and whether it is held only now."""
        week = Week.of(self.setup.clock.now(), self.setup.zone)
        return week, issuing.hold_tokens(self.store, week, self.now_ms())

    def _job_invoices(self) -> Job:
        """Bill the month, two days after its end."""
        return self._job("invoices", self._next_invoices, self._invoices)

    def _next_invoices(self) -> Slot:
        done = self.store.read().last_slot("invoices")
        first = Month.of(self.setup.first_week.start(self.setup.zone), self.setup.zone)
        month = first if done is None else Month.parse(done).plus(1)
        return Slot(str(month), month.end(self.setup.zone) + BILLED_AFTER)

    def _invoices(self, slot: Slot) -> None:
        raise_month(self.store, Month.parse(slot.name), self.now_ms())
        self.store.write(lambda tx: tx.claim("invoices", slot.name, self.now_ms()))

    def _job_gaps(self) -> Job:
        """Raise an alarm for what boxes told of a day ago and that is still missing."""
        return self._job("gaps", self._next_gaps, self._gaps)

    def _next_gaps(self) -> Slot:
        return day_slot(self.store.read().last_slot("gaps"), self.setup.clock.now(), self.setup.zone)

    def _gaps(self, slot: Slot) -> None:
        def work(tx: BillingTx) -> None:
            if tx.claim("gaps", slot.name, self.now_ms()):
                reconcile.raise_gap_alarms(tx, self.now_ms())

        self.store.write(work)

    def prove_closed(self, ref: str) -> bytes | None:
        """The proof of an order (box/epoch/seq); None while no closed batch proves it."""
        try:
            return prove(self.store.read(), ref, self.setup.billing_key)
        except (NotClosedError, NoSuchOrderError, BatchChangedError):
            return None

    # --- what the composition root asks for
    def token_keys(self, week: Week) -> dict[str, bytes]:
        """The week's token keys by measure in force (SubjectPublicKeyInfo, DER), made if there are none."""
        taken = in_force(self.setup.taken, week.monday())
        made = self.keys.make([measure.name for measure in taken.measures], week)
        return {measure: signer.public_spki for measure, signer in made.items()}

    def totals(self, week: Week) -> BoxTotals:
        """What extrapolation needs, rounded and without anybody in it."""
        look = self.store.read()
        drawn, asked, issued = look.issued(str(week))
        counts: dict[str, int] = {}
        for area, boxes in look.boxes_by_area():
            region = self.setup.region_of(area)
            counts[region] = counts.get(region, 0) + boxes
        rounded = {region: _to_ten(n) for region, n in sorted(counts.items())}
        return BoxTotals(
            week=str(week), boxes=rounded, accounts_drawn=drawn, accounts_asked=asked, issued=issued
        )

    def reconciliation(self) -> reconcile.Reconciliation:
        """Where every order stands now."""
        return reconcile.reconcile(self.store.read())

    def _metrics(self) -> list[tuple[str, dict[str, str], float]]:
        refused = self.tally.beside(self.store.read().tally)
        told = [
            ("headend_refused_total", {"side": "billing", "name": name}, n) for name, n in refused.items()
        ]
        return [*told, *samples(self.store.read(), self.now_ms())]


def _read_submission(raw: bytes) -> list[bytes]:
    try:
        submission = read(raw, Submission)
    except UnreadableMessageError as error:
        raise MalformedError("no submission") from error
    return [bytes(envelope) for envelope in submission.envelopes]


def _read_beat(look: BillingTx, raw: bytes) -> Heartbeat:
    box, payload = orders.authenticate(look, raw)
    try:
        beat = read(payload, Heartbeat)
    except UnreadableMessageError as error:
        raise MalformedError("no heartbeat") from error
    if beat.box != box.box:
        raise BoxMismatchError("signed by another box than it speaks for")
    if look.chain_end(beat.box, beat.epoch) is None:
        raise UnknownEpochError("never issued")
    return beat


def _acknowledged(look: BillingTx, beat: Heartbeat, version: int) -> Acknowledgement:
    end = look.chain_end(beat.box, beat.epoch)
    return Acknowledgement(beat.box, beat.epoch, end.last_seq if end else 0, version)


def _hear(tx: BillingTx, beat: Heartbeat, now_ms: int) -> Heartbeat:
    tx.tell(beat.box, beat.epoch, beat.last_seq, now_ms)
    tx.hear(beat.box, beat.agent, now_ms)
    return beat


def _to_ten(number: int) -> int:
    return (number + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO
