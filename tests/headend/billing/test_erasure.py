import json
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.billing import disputes, erasure, proofs
from headend.billing.checker import Taken, Verdict, check_folder
from headend.billing.engines import open_store
from headend.billing.erasure import Ground, erase, plan_erasure, told
from headend.billing.exports import close_batch, write_batch
from headend.billing.formats.registry import formats
from headend.billing.invoices import as_shown, raise_month
from headend.billing.proving import prove
from headend.billing.reconcile import reconcile
from headend.billing.retention import forget_due
from headend.billing.rows import NotFoundError, OrderState
from headend.billing.wording import LANGUAGES, words_of
from headend.cli.rights import account_erase
from headend.disclosure import Kind
from headend.installation import Installation
from shared.clock import to_ms
from shared.weeks import Month
from tests.builders import DAY, NOW_MS, SigningBox, account, billing_store, offer
from tests.headend.billing.test_retention import BILLED_MS, SETTINGS, stands

LATER_MS = BILLED_MS + DAY
TAX_MS = to_ms(datetime(2037, 1, 1, tzinfo=ZoneInfo("Europe/Amsterdam")))


@pytest.fixture
def billed(store, box):
    """A film, a bought one and a subscription play, billed; then one that is not, and one that waits."""
    box.submit(
        box.order(),
        box.order("bought", price_cents=1299),
        box.order("included", price_cents=0),
        box.delivery(1, "confirmed"),
    )
    raise_month(store, Month(2026, 10), BILLED_MS)
    box.submit(box.order("film-2", price_cents=399, at_ms=LATER_MS), now_ms=LATER_MS)
    box.submit(box.order(price_cents=1, at_ms=LATER_MS), now_ms=LATER_MS)
    return box


def do(store, now_ms=LATER_MS, **options):
    return store.write(lambda tx: erase(tx, "acc-1", "alice", now_ms, **options))


def kept(found):
    return {(one.why, one.ref.rpartition("/")[2], one.ground, one.until_ms) for one in found.stays}


def test_what_may_go_goes_at_once_without_waiting_for_the_dispute_period(store, billed):
    done = do(store)
    assert [(one.ref[-3:], one.message, one.title) for one in done.orders] == [
        ("1/1", True, True),
        ("1/2", True, False),
        ("1/3", True, True),
    ]
    assert [ref[-3:] for ref in done.deliveries] == ["1/4"]
    assert [stands(store, billed, seq) for seq in (1, 2, 3)] == [
        (False, False),
        (False, True),
        (False, False),
    ]
    assert store.read().link(billed.box, 1, 4).envelope is None
    assert [stands(store, billed, seq)[0] for seq in (5, 6)] == [True, True]


def test_what_stays_is_said_with_its_reason_ground_and_until_when(store, billed):
    found = kept(do(store))
    contract, law = Ground.CONTRACT, Ground.LEGAL_OBLIGATION
    assert {
        ("bought", "2", contract, None),
        ("unbilled", "5", contract, None),
        ("suspended", "6", contract, None),
        ("bill", "INV-2026-000001", law, TAX_MS),
        ("books", "acc-1", law, TAX_MS),
        ("account", "acc-1", contract, None),
        ("box", billed.box, contract, None),
        ("audit", "acc-1", law, None),
    } - found == set()
    assert {why for why, *_ in found} == {
        "bought", "unbilled", "suspended", "bill", "books", "account", "box", "audit"
    }  # fmt: skip


def test_a_plan_is_what_an_erasure_then_does_and_changes_nothing(store, billed):
    plan = plan_erasure(store.read(), "acc-1", LATER_MS)
    assert plan_erasure(store.read(), "acc-1", LATER_MS) == plan
    assert stands(store, billed) == (True, True)
    done = do(store)
    assert (done.orders, done.deliveries) == (plan.orders, plan.deliveries)


def test_asking_again_takes_nothing_more(store, billed):
    do(store)
    again = do(store)
    assert (again.orders, again.deliveries, again.evidence) == ((), (), ())


def test_asking_again_once_it_is_billed_takes_the_rest(store, billed):
    do(store)
    raise_month(store, Month(2026, 11), BILLED_MS + 30 * DAY)
    again = do(store, BILLED_MS + 30 * DAY)
    assert [one.ref[-3:] for one in again.orders] == ["1/5"]


def test_a_bought_title_goes_only_when_it_is_given_up_and_costs_again_afterwards(store, billed):
    do(store)
    do(store, give_up_bought=True)
    assert stands(store, billed, 2) == (False, False)
    billed.submit(billed.order("bought", price_cents=1299, at_ms=LATER_MS), now_ms=LATER_MS)
    assert billed.stored(7).state is OrderState.RATED


def test_while_its_window_is_open_a_title_stays_and_then_goes_by_itself(tmp_path):
    store = billing_store(tmp_path, offer("long", window_hours=24 * 60))
    box = SigningBox(store).enrolled()
    box.submit(box.order("long"))
    raise_month(store, Month(2026, 10), BILLED_MS)
    closes = NOW_MS + 60 * DAY
    assert ("open-window", "1", Ground.CONTRACT, closes) in kept(do(store))
    assert stands(store, box) == (False, True)
    assert forget_due(store, closes, ZoneInfo("UTC"))["titles"] == 1
    store.close()


def test_an_order_that_is_being_disputed_stays_until_it_is_decided(store, billed):
    number = next(store.read().invoices(None, 1)).number
    ref = f"{billed.box}/1/1"
    dispute = store.write(lambda tx: disputes.open_dispute(tx, number, ref, "why", LATER_MS))
    found = do(store)
    assert ("disputed", "1", Ground.CONTRACT, dispute.deadline_ms) in kept(found)
    assert stands(store, billed) == (True, True)
    assert store.read().link(billed.box, 1, 4).envelope is not None, "its delivery report too"
    store.write(lambda tx: disputes.dismiss(tx, dispute.dispute, "no", "alice", LATER_MS))
    do(store)
    assert stands(store, billed) == (False, False)
    assert store.read().dispute(dispute.dispute).why == ""


def test_an_alarms_evidence_goes(store, billed):
    twin = SigningBox(store, key=billed.key, box=billed.box)
    with pytest.raises(Exception, match="other bytes"):
        twin.submit(twin.order("film-2", price_cents=399))
    assert len(do(store).evidence) == 1
    assert store.read().standing_evidence(0, 9) == []


def test_only_the_accounts_own_goes_also_from_a_box_that_was_anothers(store, billed):
    store.write(lambda tx: tx.add_account(account("acc-2")))
    store.write(lambda tx: tx.bind_box(billed.box, "acc-2", LATER_MS + 1))
    at = LATER_MS + DAY
    billed.submit(
        billed.order("included", price_cents=0, at_ms=at), billed.delivery(7, "confirmed", at), now_ms=at
    )
    assert billed.stored(7).account == "acc-2"
    do(store, at)
    look = store.read()
    assert [look.link(billed.box, 1, seq).envelope is not None for seq in (7, 8)] == [True, True]
    assert look.annex(billed.box, 1, 7) is not None
    store.write(lambda tx: erase(tx, "acc-2", "alice", at))
    assert [look.link(billed.box, 1, seq).envelope is not None for seq in (7, 8)] == [False, False]


def test_the_books_close_bills_show_the_class_and_batches_and_proofs_hold(store, billed, tmp_path):
    key = Ed25519PrivateKey.generate()
    ref = f"{billed.box}/1/1"
    store.write(lambda tx: close_batch(tx, LATER_MS))
    envelope = store.read().link(billed.box, 1, 1).envelope
    annex = store.read().annex(billed.box, 1, 1)
    before = batch_files(store, tmp_path / "before", key)
    do(store)
    assert reconcile(store.read()).closes
    (bill,) = store.read().invoices(None, 9)
    assert {line.text for line in as_shown(store.read(), bill).lines} == {"film", "A Very Particular Film"}
    do(store, give_up_bought=True)
    assert {line.text for line in as_shown(store.read(), bill).lines} == {"film"}
    assert batch_files(store, tmp_path / "after", key) == before
    proof = prove(store.read(), ref, key)
    proven = proofs.check_proof(proof, key.public_key(), envelope, (annex.salt, annex.offer))
    assert (proven.envelope_compared, proven.title_compared, proven.cents) == (True, True, 499)


def batch_files(store, folder, key):
    folder.mkdir()
    forms = [form for form in formats().values() if form.kind is Kind.EXPORT_BATCH]
    paths = list(write_batch(store.read(), 1, key, folder, forms))
    checked, _ = check_folder(folder, key.public_key(), Taken())
    assert [one.verdict for one in checked] == [Verdict.OK]
    return {path.name: path.read_bytes() for path in paths}


def test_an_erasure_leaves_an_audit_line_that_says_how_much_and_no_title(store, billed):
    do(store)
    line = store.storage.read().execute("SELECT * FROM audit ORDER BY line DESC").fetchone()
    assert tuple(line)[2:5] == ("alice", "titles erased on request", "acc-1")
    assert line["detail"] == "titles 3, deliveries 1, evidence 0; 8 things stay"


def test_an_unknown_account_is_refused_and_nothing_is_written(store):
    with pytest.raises(NotFoundError):
        store.write(lambda tx: erase(tx, "nobody", "alice", NOW_MS))
    assert not list(store.read().rows_about("audit", "nobody"))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("nl", ("gewist", "gekocht", "tot 1 januari 2037", "wettelijke plicht", "betwist")),
        ("fr", ("effacés", "achetés", "jusqu'au 1 janvier 2037", "obligation légale", "contestés")),
        ("en", ("erased", "bought", "until 1 January 2037", "legal obligation", "disputed")),
    ],
)
def test_it_is_told_in_the_accounts_language(store, billed, language, words):
    done = replace(do(store), language=language)
    text = told(done, done=True)
    assert [word for word in words if word not in text] == []
    assert f"{billed.box}/1/2" in text
    assert "Film" not in text.replace("film", "")


def test_a_plan_is_told_as_what_would_go(store, billed):
    plan = plan_erasure(store.read(), "acc-1", LATER_MS)
    assert words_of("nl").erasure["goes"].format(orders=3) in told(plan, done=False)
    do(store)
    again = plan_erasure(store.read(), "acc-1", LATER_MS)
    assert words_of("nl").erasure["nothing"] in told(again, done=False)


def test_every_language_has_the_same_keys_and_words_every_reason():
    shapes = set()
    for language in LANGUAGES:
        words = words_of(language)
        maps = {name: getattr(words, name) for name in words.__struct_fields__}
        shapes.add(tuple((name, tuple(one)) for name, one in maps.items() if isinstance(one, dict)))
        assert {*erasure.Hold, *erasure.What} <= set(words.erasure)
        assert set(Ground) <= set(words.basis)
    assert len(shapes) == 1


def test_the_command_plans_and_erases(tmp_path):
    made = Installation.create(tmp_path / "a", SETTINGS)
    store = open_store(made.place("billing"))
    store.write(lambda tx: tx.add_account(account()))
    store.close()
    command = [str(tmp_path / "a"), "acc-1", "--who", "alice"]
    planned = CliRunner().invoke(account_erase, [*command, "--dry-run", "--json"])
    assert (planned.exit_code, json.loads(planned.output)["done"]) == (0, False), planned.output
    done = CliRunner().invoke(account_erase, command)
    assert done.exit_code == 0, done.output
    assert "Wissen voor account acc-1" in done.output
    missing = CliRunner().invoke(account_erase, [str(tmp_path / "a"), "nobody", "--who", "alice"])
    assert missing.exit_code == 1
