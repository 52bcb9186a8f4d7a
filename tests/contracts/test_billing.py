"""Billing's store over both engines: a year of it, asked everything there is to ask, answers the same."""

from dataclasses import replace

from headend.billing.documents.document import Seller
from headend.billing.engines import open_store
from headend.billing.fleet import ChosenBoxes
from headend.billing.lists import Chosen, ChosenBills, Verification
from headend.billing.rows import (
    Alarm,
    DisputeState,
    ExportKey,
    OrderState,
    RequestKind,
    RequestState,
    SubscriberRequest,
)
from headend.billing.store import BillingStore, BillingTx
from tests.builders import DAY, NOW_MS
from tests.campaigns.headend_life import HeadendLife
from tests.contracts.recorded import RecordedStore, methods, replay, rows

LATE = NOW_MS + 4_000 * DAY
WEEK = "2026-W41"
TEXTS = ("", "a", "ACC", "%", "_", "inv", "bx", "é")


class RecordedLife(HeadendLife):
    """A year of a headend whose store writes down what is asked of it."""

    def opened(self):
        before = getattr(self, "store", None)
        opened = RecordedStore(open_store(self.folder / "billing.db"))
        if before is not None:
            opened.turns = before.turns
        return opened


def write_the_rest(tx):
    """What the year leaves out: requests, sellers, laws, keys, alarms, tokens, counts."""
    tx.stamp("simulated", "0")
    tx.stamp("simulated", "1")
    tx.add_seller(Seller("NL", "Example Cable", "NL001B01", "Street 1", "1011AA", "Town"), 0)
    tx.add_law("BE", 5, b"{}")
    key = ExportKey("h" * 64, "erp", "billing system", "read acknowledge", NOW_MS, None)
    tx.add_export_key(key)
    tx.revoke_export_key("erp", NOW_MS + 1)
    tx.revoke_export_key("nobody", NOW_MS + 1)
    for kind in RequestKind:
        asked = SubscriberRequest(0, "acc-1", kind, NOW_MS, NOW_MS + DAY, RequestState.OPEN, None, "dana", "")
        tx.add_request(asked)
    tx.set_request(replace(tx.request(1), state=RequestState.ANSWERED, decided_ms=NOW_MS, who="dana"))
    for n in range(3):
        tx.raise_alarm(Alarm(f"kind-{n % 2}", "bx-1", "acc-1", f"{n}", NOW_MS + n), b"evidence"[:n] or None)
        tx.raise_alarm(Alarm(f"kind-{n % 2}", "bx-1", "acc-1", f"{n}", NOW_MS + 9), None)
    box = next(iter(tx.boxes())).box
    tx.set_kind(box, 1, 1, "unreadable"), tx.set_window(box, 1, 1, LATE)
    tx.add_tally({"malformed": 2, "unknown-box": 1})
    tx.add_tally({"malformed": 3})
    tx.add_tally({})
    tx.put_directory(WEEK, b"directory")
    tx.put_directory(WEEK, b"another")
    for account, box in (("acc-1", "bx-1"), ("acc-2", "bx-2"), ("acc-1", "bx-3")):
        tx.draw_reporting(WEEK, {account: box})
    tx.add_grant(WEEK, "acc-1", "genre", "r" * 64, b"signed")
    tx.add_grant(WEEK, "acc-1", "genre", "s" * 64, b"signed too")
    tx.add_verification(Verification(1, NOW_MS, "erin", "ok", ""))
    tx.add_verification(Verification(1, NOW_MS + 1, "erin", "gap", "entry 3"))


def move_boxes(tx):
    boxes = [box.box for box in tx.boxes()]
    tx.bind_box(boxes[-1], "acc-1", LATE)
    tx.release_box(boxes[-1], LATE + 1)
    tx.release_box(boxes[-1], LATE + 2)
    tx.hear(boxes[0], "1.4.0", LATE)
    tx.hear(boxes[0], "", LATE - 1)
    tx.tell(boxes[0], 2, 99, LATE)


def look_at_books(look):
    last, _ = look.last_entry()
    for first, until in ((1, last), (3, 5), (last + 1, last + 9), (1, None)):
        look.ledger_totals(first, until)
    look.entries(2, last)
    look.entry_rows(1, last)
    look.recount_ledger(), look.tail_totals(), look.batch_totals(1), look.batch_totals(2)
    look.month_totals(), look.recount_months(), look.bill_months(), look.order_totals(), look.order_cells()
    look.sellers(), look.seller("NL", NOW_MS), look.seller("BE", NOW_MS)
    look.law("BE", 4), look.law("BE", 5), look.law_changes("BE")
    for bill in look.invoices(None, 100):
        look.invoice(bill.number), look.notes_of(bill.number), look.disputes_of(bill.number)
        look.bill_of(bill.account, bill.month)
    for kind in ("", "invoice", "credit-note"):
        page = look.bills_page(ChosenBills(kind=kind), None, 2)
        look.bills_page(ChosenBills(kind=kind, account="acc-1"), page[-1][0], 2)
    look.batches(), look.batches_page(None, 1), look.batches_page(2, 5), look.last_batch()
    for batch in (1, 2, 3):
        (
            look.batch(batch),
            look.acknowledgements(batch),
            look.verifications(batch, 5),
            look.batch_with(batch * 7),
        )
    look.disputes_due(LATE), look.open_disputes(None, 5), look.open_disputes((0, 0), 5)
    look.decided_disputes(None, 5), look.decided_disputes(1, 5)
    for state in (None, *DisputeState):
        look.disputes(state, None), look.disputes(state, "acc-1")
    look.request(1), look.dispute(1), look.export_keys(), look.export_key("h" * 64), look.export_key("x")


def look_at_orders(look):
    for state in (None, *OrderState):
        look.orders(state, None, 100), look.orders(state, "acc-1", 2)
        page = look.orders_page(Chosen(state=state), None, 3)
        look.orders_page(Chosen(state=state, account="acc-1"), page[-1][0] if page else None, 3)
    for chosen in (
        Chosen(month="2026-10"),
        Chosen(display="film"),
        Chosen(box="bx"),
        Chosen(account="acc-2"),
    ):
        look.orders_page(chosen, None, 50)
    look.orders_received(NOW_MS), look.waiting(), look.accounts_with_due_orders("", 5), look.standing()
    for reason in {order.reason for order in look.orders(None, None, 100)}:
        page = look.waiting_page(reason, None, 1)
        look.waiting_page(reason, (page[-1][1].received_ms, page[-1][0]) if page else None, 5)
    for order in look.orders(None, None, 100):
        look.usage_entry(order.ref), look.entries_of(order.ref), look.annex(order.box, order.epoch, order.seq)
        look.neighbours(order.box, order.epoch, order.seq), look.order(order.box, order.epoch, order.seq)
        look.link(order.box, order.epoch, order.seq), look.deliveries_after(order.box, order.epoch, 0)
    for account in ("acc-1", "acc-2", "nobody"):
        (
            look.orders_of(account),
            look.paid_orders(account, 0, LATE, 2),
            look.spent(account, 0, LATE),
            look.due_orders(account, LATE),
        )
        look.promotion_uses(account, "autumn"), look.annexes_of(account), look.boxes_of(account)
        look.open_window(account, "film-1", 0, LATE), look.signed_deliveries(account)
        look.open_window(account, "film-1", 0, LATE, credited=True), look.free_plays(account, "film-1", LATE)
        for table in ("orders", "entries", "invoices", "accounts", "boxes", "audit"):
            look.rows_about(table, account)
    look.promotion("autumn", 1), look.promotion("autumn", 9), look.offer("film-1", 1), look.offer("x", 1)


def look_at_the_rest(look):
    (
        look.accounts(),
        look.accounts_with_boxes(),
        look.some_with_boxes("", 2),
        look.boxes_by_area(),
        look.chain_ends(),
        look.gaps(),
        look.catalogue(),
    )
    (
        look.catalogue_version(),
        look.agents(),
        look.recount_agents(),
        look.bound_boxes(),
        look.silent_since(NOW_MS),
        look.alarm_kinds(),
        look.audit_chain(),
        look.tally(),
    )
    for box in look.boxes():
        look.box(box.box), look.sighting(box.box), look.epochs_of(box.box), look.bindings(box.box)
        (
            look.bound_account(box.box, NOW_MS),
            look.bound_account(box.box, LATE + 5),
            look.boxes_with_serial(box.serial),
        )
        (
            look.said_page(box.box, None, 3),
            look.said_page(box.box, (1, 3), 3),
            look.alarms_about("box", box.box, 5),
        )
        look.chain_end(box.box, 1), look.chain_end(box.box, 7)
    look.sighting("bx-none"), look.alarms_about("account", "acc-1", 5)
    for chosen in (
        ChosenBoxes(),
        ChosenBoxes(bound=False),
        ChosenBoxes(agent=""),
        ChosenBoxes(agent="1.4.0"),
    ):
        page = look.boxes_page(chosen, None, 1)
        look.boxes_page(chosen, (page[0].heard_ms, page[0].box) if page else None, 5)
    look.heard_since(NOW_MS), look.alarms(5), look.alarms_since(NOW_MS + 1), look.alarms_page("", None, 2)
    look.alarms_page("kind-0", 3, 2), look.open_requests()
    for state in (None, *RequestState):
        look.requests(state, None, 5), look.requests(state, "acc-1", 1)
    for text in TEXTS:
        look.names_like(text, 5), look.audit_lines(text, "", None, 5), look.audit_lines("", text, 9, 5)
    look.reporting_box(WEEK, "acc-1"), look.reporting_box(WEEK, "nobody"), look.grants(WEEK, "acc-1", "genre")
    look.issued(WEEK), look.issued("2026-W50"), look.directory(WEEK), look.directory("2026-W50")
    look.last_slot("campaign"), look.last_run("campaign"), look.last_slot("never"), look.last_run("never")
    look.horizon("tax"), look.standing_evidence(0, 5), look.signed_messages(LATE, (0, 0), 5)
    look.loose_annexes(LATE, 0, 5), look.old_documents(LATE, "", 5), look.old_outcomes(LATE, 0, 5)


def forget_all(tx):
    """Ten years on, everything may go."""
    tx.move_horizon("tax", LATE)
    for number in tx.old_documents(LATE, "", 100):
        tx.empty_document(number, LATE)
    for _, order in tx.old_outcomes(LATE, 0, 100):
        tx.empty_order(order, LATE)
    tx.forget_alarms(LATE, 100), tx.forget_requests(LATE, 100), tx.forget_codes(LATE, 100)
    tx.forget_tokens(WEEK, 10)


def ask_everything(store):
    store.write(write_the_rest)
    store.write_beside(move_boxes)
    code = next(call.values[0] for turn in store.turns for call in turn.calls if call.name == "use_code")
    store.read().box_of_code(code)
    for look_at in (look_at_books, look_at_orders, look_at_the_rest):
        look_at(store.read())
    with store.turn() as mine:
        assert mine
    store.write(forget_all)
    for look_at in (look_at_orders, look_at_the_rest):
        look_at(store.read())
    store.sweep()


def play(folder):
    """The year, with every call written down; the store is still open."""
    lived = RecordedLife(folder, lambda *_: None)
    lived.run()
    store = lived.opened()
    ask_everything(store)
    return store


def test_the_life_asks_everything_that_billings_store_promises(life):
    assert methods(BillingTx, BillingStore) - life.names() == {"shelf", "measured"}  # see test_nodes


def test_a_year_of_billing_answers_the_same_and_leaves_the_same_rows_over_postgresql(life, fresh):
    store = open_store(fresh("billing"))
    replay(life.turns, store)
    assert rows(store) == rows(life.over)
    with store.turn() as mine:
        assert mine
    store.close()
