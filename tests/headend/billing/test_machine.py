"""Billing's life at random, against a model kept apart: whatever happens, the books come to the same.

Loss, doubling, reordering, changed bytes, equivocation, forks, resets, crashes and broken transactions are
steps like any other. `make campaign-billing` runs it long.
"""

import os
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from headend.billing import accounts, disputes, erasure, exports, orders, retention, suspense
from headend.billing import credits as corrections
from headend.billing.credits import BadCreditError
from headend.billing.disputes import BadDisputeError
from headend.billing.exports import NothingToCloseError
from headend.billing.invoices import raise_month
from headend.billing.laws import packaged
from headend.billing.reconcile import reconcile
from headend.billing.refusals import WrongSignatureError
from headend.billing.rows import DisputeState, NotFoundError
from headend.billing.suspense import Correction, Decision, NotSuspendedError
from headend.kit.http import MalformedError
from shared import named
from shared.clock import from_ms, to_ms
from shared.named import Delivery
from shared.weeks import Month
from tests.builders import DAY, HOUR
from tests.campaigns.model import FOREVER, Charge
from tests.campaigns.watched import WatchedMachine
from tests.campaigns.world import FAULTS, LATER, OFFERS, PROMOTIONS, SUBSCRIBERS, ZONE, tampered

SPOKEN = named.SPOKEN_VERSIONS
Choices = list[tuple[str, str | None]]
EXAMPLES = int(os.environ.get("CAMPAIGN_EXAMPLES", "25"))
STEPS = int(os.environ.get("CAMPAIGN_STEPS", "40"))
PHASES = [Phase.generate] if os.environ.get("CAMPAIGN_SHRINK") == "no" else list(Phase)
BOXES = st.integers(0, 2)
NAMES = st.sampled_from([one.offer for one in OFFERS] + ["film-1", "film-2"])
CODES = st.sampled_from([None, None, *(one.promotion for one in PROMOTIONS)])
CLOCKS = st.sampled_from([0, 0, 0, -HOUR, -3 * DAY, -400 * DAY, 400 * DAY, 60_000])
EVENING = st.lists(st.tuples(NAMES, CODES), min_size=2, max_size=5)
ENDS = st.sampled_from([None, "failed", "stopped"])
TEARS = st.one_of(st.none(), st.integers(0, 9))
WHO = st.sampled_from([one.name for one in SUBSCRIBERS])
PICK = st.integers(0, 99)
CENTS = st.sampled_from([0, 1, 100, 250, 5000, -1])
"""How much less than what is left of a line is credited."""
ODDS = st.sampled_from(range(4))
NONSENSE = st.sampled_from(
    [{"v": 0}, {"v": 99, "new": True}, {"price_cents": -5}, {"type": "later"}, {"offer": {"a": []}}]
)


class BillingMachine(WatchedMachine):
    @initialize(lived=st.lists(st.tuples(BOXES, EVENING, ENDS), max_size=3), ended=st.booleans())
    def begin(self, *, lived: list[tuple[int, Choices, Any]], ended: bool) -> None:
        """Some worlds start empty, some with orders, some with bills."""
        for box, choices, end in lived:
            self.evening(box, choices, end, 25)
        if ended:
            self.let_the_month_end(None, None)

    # --- what households do
    @rule(box=BOXES, name=NAMES, code=CODES, clock=CLOCKS, times=st.integers(1, 3))
    def order(self, box: int, name: str, code: str | None, clock: int, times: int) -> None:
        line = self.world.lines[box]
        for _ in range(times):
            line.say(self.world.order(line, name, self.world.now + clock, code))

    @rule(box=BOXES, choices=EVENING, end=ENDS, hours=st.integers(0, 30))
    def evening(self, box: int, choices: Choices, end: Any, hours: int) -> None:
        """What mostly happens: a household orders, its box sends it; perhaps the last cannot be viewed."""
        for name, code in choices:
            self.order(box, name, code, 0, 1)
        if end is not None:
            self.tell_of_a_delivery(box, 0, end, 0)
        self.send_what_is_due(box, None)
        self.world.now += hours * HOUR

    @rule(box=BOXES, name=NAMES, fault=st.sampled_from(sorted(FAULTS)))
    def order_what_does_not_fit(self, box: int, name: str, fault: str) -> None:
        line = self.world.lines[box]
        line.say(self.world.order(line, name, self.world.now, None, **FAULTS[fault]))

    @rule(box=BOXES, fields=NONSENSE)
    def say_what_nobody_can_read(self, box: int, fields: dict[str, Any]) -> None:
        self.world.lines[box].say_nonsense(**fields)

    @rule(
        box=BOXES,
        choices=EVENING,
        fault=st.sampled_from([{}, {}, *FAULTS.values()]),
        end=ENDS,
        hours=st.integers(0, 30),
    )
    def evening_in_a_later_version(
        self, *, box: int, choices: Choices, fault: dict[str, Any], end: Any, hours: int
    ) -> None:
        line = self.world.lines[box]
        for name, code in choices:
            line.say_later(self.world.order(line, name, self.world.now, code, **fault))
            self.world.now += hours * HOUR
            fault = {}
        if end is not None:
            self.tell_of_a_delivery(box, 0, end, 0, later=hours % 2 == 0)
        self.send_what_is_due(box, None)

    @precondition(lambda self: not self.model.learnt)
    @rule(tear=TEARS, odds=ODDS)
    def learn_the_later_version(self, tear: int | None, odds: int) -> None:
        """The headend is upgraded, and some of what waited for it is readmitted."""
        if odds != 1:
            return
        self.speak(later=True)
        unread = [one for one in self.model.waiting() if one.later is not None and one.order is None]
        for charge in unread[:5]:
            if charge.state == "suspended":  # else a report that was read again has taken it back
                self.admit(charge, Correction(), tear)

    def speak(self, *, later: bool) -> None:
        self.model.learnt = later
        named.SPOKEN_VERSIONS = (*SPOKEN, LATER) if later else SPOKEN

    def teardown(self) -> None:
        super().teardown()
        self.speak(later=False)

    @rule(
        box=BOXES,
        back=PICK,
        outcome=st.sampled_from(["confirmed", "failed", "stopped"]),
        clock=CLOCKS,
        later=st.sampled_from([False, False, True]),
    )
    def tell_of_a_delivery(
        self, box: int, back: int, outcome: Any, clock: int, *, later: bool = False
    ) -> None:
        line = self.world.lines[box]
        about = max(1, line.signer.seq - back % 6)
        at = max(0, self.world.now + clock)
        body = Delivery(**line.place(), order_seq=about, outcome=outcome, at_ms=at)
        (line.say_later if later else line.say)(body)

    # --- what networks do
    @rule(box=BOXES, tear=TEARS)
    def send_what_is_due(self, box: int, tear: int | None) -> None:
        line = self.world.lines[box]
        due = line.said[self.world.stored(line) :][:10] or line.said[-1:]
        if due:
            self.world.send(line, due, tear)

    @rule(box=BOXES, picks=st.lists(PICK, min_size=1, max_size=6), tear=TEARS)
    def lose_double_and_reorder(self, box: int, picks: list[int], tear: int | None) -> None:
        line = self.world.lines[box]
        if line.said:
            self.world.send(line, [line.said[-1 - pick % min(len(line.said), 8)] for pick in picks], tear)

    @rule(box=BOXES, place=st.integers(0, 2000), bit=st.integers(0, 7))
    def change_a_bit(self, box: int, place: int, bit: int) -> None:
        line = self.world.lines[box]
        if line.said:
            sent = [said.envelope for said in line.said[-3:]]
            sent[-1] = tampered(sent[-1], place, bit)
            refusals = (WrongSignatureError, MalformedError)
            self.world.refused(refusals, lambda store: orders.take(store, sent, self.world.now))

    @rule(box=BOXES, back=PICK, name=NAMES)
    def say_another_thing_in_a_place(self, box: int, back: int, name: str) -> None:
        """Where something is stored it is an equivocation, at the chain's end what comes second is one."""
        line = self.world.lines[box]
        if line.said:
            old = line.said[-1 - back % len(line.said)]
            body = self.world.order(line, name, self.world.now)
            self.world.send(line, [line.instead(old.seq, old.prev, body)])

    @rule(box=BOXES, name=NAMES)
    def fork(self, box: int, name: str) -> None:
        line = self.world.lines[box]
        body = self.world.order(line, name, self.world.now)
        self.world.send(line, [line.instead(self.world.stored(line) + 1, "f" * 64, body)])

    @rule(box=BOXES)
    def heartbeat(self, box: int) -> None:
        line, now = self.world.lines[box], self.world.now
        chain, seq = self.model.chains[line.box, line.epoch], line.signer.seq
        self.world.store.write(lambda tx: tx.tell(line.box, line.epoch, seq, now))
        chain.told = max(chain.told, seq)

    # --- what becomes of boxes
    @rule(box=BOXES, odds=ODDS)
    def factory_reset(self, box: int, odds: int) -> None:
        old = self.world.lines[box]
        now = self.world.now
        if odds == 1 and old.said and not self.released(box):
            self.world.reset(box, self.world.store.read().box(old.box).account)
            last = [old.said[-1].envelope]
            self.world.refused(WrongSignatureError, lambda store: orders.take(store, last, now))

    @rule(box=BOXES, who=WHO, odds=ODDS)
    def move_a_box(self, box: int, who: str, odds: int) -> None:
        name, now = self.world.lines[box].box, self.world.now
        held = self.world.store.read().box(name)
        if odds == 1 and held.released_ms is None and held.account != who:
            self.world.store.write(lambda tx: accounts.move_box(tx, name, who, "alice", now))
            self.model.bind(name, who, now)

    @rule(box=BOXES, who=WHO, odds=ODDS)
    def release_a_box_or_sell_it_on(self, box: int, who: str, odds: int) -> None:
        name, now = self.world.lines[box].box, self.world.now
        if self.released(box):
            self.world.reset(box, who)
        elif odds == 1:
            self.world.store.write(lambda tx: accounts.release_box(tx, name, "alice", now))
            self.model.bind(name, None, now)

    def released(self, box: int) -> bool:
        return self.world.store.read().box(self.world.lines[box].box).released_ms is not None

    # --- time, and what it brings
    @rule(hours=st.sampled_from([1, 5, 23, 24, 25, 48, 100, 300, 745]), ms=st.sampled_from([0, -1, 1]))
    def advance(self, hours: int, ms: int) -> None:
        self.world.now += hours * HOUR + ms

    @rule(tear=TEARS, late=st.one_of(st.none(), BOXES))
    def let_the_month_end(self, tear: int | None, late: int | None) -> None:
        """Three days into the next month its bills are raised; what a box sends then is too late for them."""
        here = from_ms(self.world.now)
        after = Month(here.year, here.month).end(ZONE) + timedelta(days=3)
        self.world.now = to_ms(after)
        self.raise_a_month(-1, tear)
        if late is not None:
            self.order(late, "film-1", None, -6 * DAY, 1)
            self.send_what_is_due(late, None)
            self.raise_a_month(-1, None)

    @rule(back=st.integers(-2, 0), tear=TEARS)
    def raise_a_month(self, back: int, tear: int | None) -> None:
        now = self.world.now
        here = from_ms(now)
        month = Month(here.year, here.month).plus(back)
        wanted = self.model.bill(str(month), now)
        assert self.world.do(lambda store: raise_month(store, month, now), tear) == wanted

    # --- what people decide
    def billed(self, pick: int) -> tuple[str, list[Charge]] | None:
        rows = self.world.db.execute(
            "SELECT number, account, month FROM invoices WHERE kind = 'invoice' ORDER BY number"
        ).fetchall()
        if not rows:
            return None
        number, account, month = rows[pick % len(rows)]
        return number, [self.model.charges[ref] for ref in self.model.bills[account, month]]

    @precondition(lambda self: self.model.bills)
    @rule(pick=PICK, which=PICK, of_left=CENTS, whole=st.booleans(), tear=TEARS)
    def credit(self, *, pick: int, which: int, of_left: int, whole: bool, tear: int | None) -> None:
        number, charges = self.billed(pick) or ("", [])
        charge, now = charges[which % len(charges)], self.world.now
        cents = charge.left - of_left
        left = {one.ref: one.left for one in charges if one.left}
        wanted = left if whole else {charge.ref: cents}
        given = None if whole else wanted
        if not wanted or any(not 0 < asked <= left.get(ref, 0) for ref, asked in wanted.items()):
            self.world.refused(BadCreditError, lambda store: credit(store, number, given, now))
            return
        note = self.world.do(lambda store: credit(store, number, given, now), tear)
        assert note.gross == sum(wanted.values())
        for ref, asked in wanted.items():
            self.model.credit(ref, asked)

    @precondition(lambda self: self.model.bills)
    @rule(pick=PICK, which=PICK)
    def dispute(self, pick: int, which: int) -> None:
        number, charges = self.billed(pick) or ("", [])
        ref, now = charges[which % len(charges)].ref, self.world.now
        bill = self.world.store.read().invoice(number)
        held = self.world.store.read().disputes(DisputeState.OPEN, None)
        twice = (number, ref) in {(one.number, one.order_ref) for one in held}
        late = now >= bill.issued_ms + packaged()[bill.country].dispute_days * DAY

        def work(store: Any) -> Any:
            return store.write(lambda tx: disputes.open_dispute(tx, number, ref, "no", now))

        if late or twice:
            self.world.refused(BadDisputeError, work)
        else:
            self.world.do(work)

    @precondition(lambda self: self.model.bills)
    @rule(pick=PICK, uphold=st.booleans(), cents=st.one_of(st.none(), st.integers(1, 600)), tear=TEARS)
    def decide_a_dispute(self, *, pick: int, uphold: bool, cents: int | None, tear: int | None) -> None:
        held = list(self.world.store.read().disputes(DisputeState.OPEN, None))
        if not held:
            return
        one, now = held[pick % len(held)], self.world.now
        left = self.model.charges[one.order_ref].left
        asked = left if cents is None else cents

        def work(store: Any) -> Any:
            if uphold:
                return store.write(lambda tx: disputes.uphold(tx, one.dispute, cents, "alice", now))
            return store.write(lambda tx: disputes.dismiss(tx, one.dispute, "stands", "alice", now))

        if uphold and not 0 < asked <= left:
            self.world.refused(BadCreditError, work)
            return
        decided = self.world.do(work, tear)
        if uphold:
            self.model.credit(one.order_ref, asked)
            assert self.world.store.read().invoice(decided.note).gross == asked
        self.world.refused(BadDisputeError, work)

    @precondition(lambda self: self.model.waiting())
    @rule(pick=PICK, tear=TEARS)
    def readmit(self, pick: int, tear: int | None) -> None:
        waiting = self.model.waiting()
        charge = waiting[pick % len(waiting)]
        self.admit(charge, Correction(), tear)

    @precondition(lambda self: self.model.waiting())
    @rule(
        pick=PICK,
        name=st.one_of(st.none(), NAMES),
        price=st.one_of(st.none(), st.integers(-1, 500)),
        who=st.one_of(st.none(), WHO),
        tear=TEARS,
    )
    def correct(
        self, pick: int, name: str | None, price: int | None, who: str | None, tear: int | None
    ) -> None:
        waiting = self.model.waiting()
        meant = None if name is None else (name, 1)
        self.admit(waiting[pick % len(waiting)], Correction(meant, price, who), tear)

    def admit(self, charge: Charge, put_right: Correction, tear: int | None) -> None:
        decision = Decision("looked at it", "alice", self.world.now)

        def work(store: Any) -> Any:
            return store.write(lambda tx: suspense.correct(tx, charge.ref, put_right, decision))

        price = put_right.price_cents
        right = Charge(**vars(charge))
        unread = charge.later is not None and charge.order is None
        if unread and self.model.learnt and self.model.read_again(right):
            self.world.do(work, tear)
            vars(charge).update(vars(right))
            return
        offer = self.model.named_offer(right)
        if put_right.offer is not None:
            offer = self.model.offers[put_right.offer]
            right.vat_bp = offer.vat_bp
        right.account = put_right.account or right.account
        # Never more than the screen showed: its price less its promotion.
        allowed = price is None or 0 < price <= right.payable
        if price is not None:
            right.price, right.credit, right.promotion, right.currency = price, 0, "", "EUR"
        if not allowed or not self.model.can_be_billed(right, offer):
            self.world.refused((NotSuspendedError, NotFoundError), work)
            return
        self.world.do(work, tear)
        vars(charge).update(vars(right))
        self.model.readmit(charge, offer)

    @precondition(lambda self: self.model.waiting())
    @rule(pick=PICK, tear=TEARS)
    def reject(self, pick: int, tear: int | None) -> None:
        waiting = self.model.waiting()
        charge = waiting[pick % len(waiting)]
        decision = Decision("looked at it", "alice", self.world.now)
        self.world.do(lambda store: store.write(lambda tx: suspense.reject(tx, charge.ref, decision)), tear)
        charge.state = "rejected"

    # --- exports, and what is forgotten
    @rule(tear=TEARS)
    def close_a_batch(self, tear: int | None) -> None:
        now, tail = self.world.now, self.tail()

        def work(store: Any) -> Any:
            return store.write(lambda tx: exports.close_batch(tx, now))

        if tail == 0:
            self.world.refused(NothingToCloseError, work)
            return
        batch = self.world.do(work, tear)
        assert batch.last_entry - batch.first_entry + 1 == tail
        assert self.tail() == 0
        self.world.write_batch(batch.batch)

    def tail(self) -> int:
        sums = reconcile(self.world.store.read())
        return sums.entries - sums.entries_in_batches

    @rule(pick=PICK)
    def render_a_batch_again(self, pick: int) -> None:
        last = self.world.store.read().last_batch()
        if last is not None:
            number = 1 + pick % last.batch
            before = self.world.written(number)
            self.world.write_batch(number)
            assert self.world.written(number) == before

    @rule(who=WHO, give_up=st.booleans(), tear=TEARS)
    def erase(self, *, who: str, give_up: bool, tear: int | None) -> None:
        """A subscriber asks to be forgotten; what the contract needs stays, and the books do not notice."""
        now = self.world.now

        def work(store: Any) -> Any:
            return store.write(lambda tx: erasure.erase(tx, who, "alice", now, give_up_bought=give_up))

        self.world.do(work, tear)
        disputed = self.disputed()
        for one in self.model.charges.values():
            if one.account == who and not (one.waits or one.ref in disputed):
                one.signed = False
                one.titled = one.titled and one.runs(now) and not (give_up and one.until == FOREVER)

    def disputed(self) -> set[str]:
        held = self.world.store.read().disputes(DisputeState.OPEN, None)
        return {one.order_ref for one in held}

    @rule()
    def let_retention_run(self) -> None:
        now, disputed = self.world.now, self.disputed()
        retention.forget_due(self.world.store, now, ZONE)
        for one in self.model.charges.values():
            if one.waits or one.ref in disputed:
                continue
            if self.model.dispute_end(one) <= now:
                one.signed = False
            if not one.signed:
                one.titled = one.titled and one.runs(now)

    # --- processes
    @rule()
    def crash(self) -> None:
        self.world.crash()

    @rule()
    def restart(self) -> None:
        self.world.restart()


def credit(store: Any, number: str, wanted: dict[str, int] | None, now: int) -> Any:
    return store.write(lambda tx: corrections.credit(tx, number, wanted, "correction", now))


BillingMachine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)
TestBilling = BillingMachine.TestCase
