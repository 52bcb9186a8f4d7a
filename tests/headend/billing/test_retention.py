from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import msgspec
import pytest
from click.testing import CliRunner

from headend.billing import accounts, disputes, retention, suspense
from headend.billing import credits as corrections
from headend.billing.exports import close_batch
from headend.billing.invoices import raise_month
from headend.billing.laws import law_of, set_law
from headend.billing.ledger import entry_hash
from headend.billing.reconcile import reconcile
from headend.billing.retention import forget_due, job_retention, outlook, record
from headend.billing.rows import OrderState
from headend.cli.rights import retention_group
from headend.installation import Installation
from headend.kit.jobs import Jobs
from shared.clock import ManualClock, to_ms
from shared.weeks import Month
from tests import engines
from tests.builders import DAY, HOUR, NOW, NOW_MS, SETTINGS, SigningBox, account, billing_store, offer

ZONE = ZoneInfo("Europe/Amsterdam")
OCTOBER = Month(2026, 10)
BILLED_MS = to_ms(datetime(2026, 11, 3, 1, tzinfo=UTC))


def local(*moment):
    return to_ms(datetime(*moment, tzinfo=ZONE))


OVER_MS = local(2027, 2, 4)
"""The end of the 92nd day after that on which the bill was raised."""
LOOSE_OVER_MS = local(2027, 1, 8)
"""The end of the 92nd day after today, for what is on no bill."""


def forget(store, now_ms):
    return forget_due(store, now_ms, ZONE)


def bill(store, month=OCTOBER, at_ms=BILLED_MS):
    raise_month(store, month, at_ms)


def stands(store, box, seq=1):
    """Whether the signed bytes stand, and whether the annex does."""
    look = store.read()
    place = (box.box, box.epoch, seq)
    return look.link(*place).envelope is not None, look.annex(*place) is not None


# --- title detail


def test_title_detail_goes_when_the_dispute_period_of_its_bill_is_over_and_no_moment_before(store, box):
    box.submit(box.order())
    bill(store)
    assert forget(store, OVER_MS - 1) == {}
    assert stands(store, box) == (True, True)
    assert forget(store, OVER_MS) == {"messages": 1, "titles": 1}
    assert stands(store, box) == (False, False)
    assert forget(store, OVER_MS) == {}


def test_the_hashes_stay_and_the_books_close(store, box):
    box.submit(box.order())
    bill(store)
    before = store.read().link(box.box, 1, 1)
    forget(store, OVER_MS)
    after = store.read().link(box.box, 1, 1)
    assert (after.hash, after.envelope_hash) == (before.hash, before.envelope_hash)
    assert box.stored(1).title_hash == store.read().usage_entry(f"{box.box}/1/1").proof.split(":")[1]
    assert reconcile(store.read()).closes


def test_what_is_on_no_bill_goes_the_dispute_period_after_it_was_received(store, box):
    box.submit(box.order("included", price_cents=0))
    box.submit(box.order(price_cents=1))
    reject = suspense.Decision("no", "alice", NOW_MS)
    store.write(lambda tx: suspense.reject(tx, f"{box.box}/1/2", reject))
    assert forget(store, LOOSE_OVER_MS - 1) == {}
    assert forget(store, LOOSE_OVER_MS) == {"messages": 2, "titles": 1}


def test_what_waits_or_is_not_billed_yet_stays_however_old_it_is(store, box):
    box.submit(box.order())
    box.submit(box.order(price_cents=1))
    box.submit(box.raw(price_cents=-1))
    assert [box.stored(seq).state for seq in (1, 2, 3)] == [
        OrderState.RATED,
        OrderState.SUSPENDED,
        OrderState.SUSPENDED,
    ]
    assert "messages" not in forget(store, NOW_MS + 3000 * DAY)
    assert [stands(store, box, seq)[0] for seq in (1, 2, 3)] == [True, True, True]


def test_the_period_is_that_of_the_bills_country(tmp_path):
    store = billing_store(tmp_path)
    store.write(lambda tx: tx.add_account(account("acc-be", country="BE", zone="Europe/Brussels")))
    box = SigningBox(store, account="acc-be").enrolled()
    box.submit(box.order())
    bill(store)
    assert forget(store, local(2027, 5, 6) - 1) == {}
    assert forget(store, local(2027, 5, 6)) == {"messages": 1, "titles": 1}
    store.close()


def test_while_a_dispute_is_open_its_order_stays_and_afterwards_its_words_go_too(store, box):
    box.submit(box.order())
    bill(store)
    opened = OVER_MS - DAY
    number = next(store.read().invoices(None, 1)).number
    ref = f"{box.box}/1/1"
    dispute = store.write(lambda tx: disputes.open_dispute(tx, number, ref, "not that Film", opened))
    assert forget(store, OVER_MS + DAY) == {}
    decided = OVER_MS + 2 * DAY
    store.write(lambda tx: disputes.dismiss(tx, dispute.dispute, "it was", "alice", decided))
    assert forget(store, decided) == {"messages": 1, "titles": 1}
    assert store.read().dispute(dispute.dispute).why == ""


def test_a_bought_titles_annex_stays_so_that_it_is_never_charged_again_but_its_envelope_goes(store, box):
    box.submit(box.order("bought", price_cents=1299))
    bill(store)
    assert forget(store, OVER_MS) == {"messages": 1}
    assert stands(store, box) == (False, True)
    later = OVER_MS + 100 * DAY
    box.submit(box.order("bought", price_cents=1299, at_ms=later), now_ms=later)
    assert box.stored(2).state is OrderState.ZERO_RATED


def test_a_bought_title_that_was_given_back_is_forgotten_whole(store, box):
    box.submit(box.order("bought", price_cents=1299))
    bill(store)
    forget(store, OVER_MS)
    number = next(store.read().invoices(None, 1)).number
    store.write(lambda tx: corrections.credit(tx, number, None, "correction", OVER_MS))
    assert forget(store, OVER_MS) == {"titles": 1}


def test_an_annex_goes_when_its_window_closes_if_that_is_later(tmp_path):
    store = billing_store(tmp_path, offer("long", window_hours=24 * 200))
    box = SigningBox(store).enrolled()
    box.submit(box.order("long"))
    bill(store)
    closes = NOW_MS + 200 * DAY
    assert forget(store, OVER_MS) == {"messages": 1}
    assert forget(store, closes - 1) == {}
    assert forget(store, closes) == {"titles": 1}
    store.close()


def test_a_delivery_reports_signed_bytes_go_with_those_of_its_order(store, box):
    box.submit(box.order(), box.delivery(1, "confirmed"))
    bill(store)
    assert forget(store, OVER_MS - 1) == {}
    assert forget(store, OVER_MS) == {"messages": 2, "titles": 1}


def test_a_delivery_report_of_no_order_goes_the_dispute_period_after_its_receipt(store, box):
    box.submit(box.delivery(7, "confirmed"))
    assert forget(store, LOOSE_OVER_MS - 1) == {}
    assert forget(store, LOOSE_OVER_MS) == {"messages": 1}


def test_what_is_nobodys_stays_for_the_longest_period_of_all_countries(store, box):
    store.write(lambda tx: tx.release_box(box.box, NOW_MS))
    box.submit(box.order(at_ms=NOW_MS + 1), now_ms=NOW_MS + 1)
    assert box.stored(1).account is None
    decision = suspense.Decision("nobody's", "alice", NOW_MS)
    store.write(lambda tx: suspense.reject(tx, f"{box.box}/1/1", decision))
    midnight = to_ms(datetime(2027, 4, 9, tzinfo=UTC))
    assert forget(store, midnight - 1) == {}
    assert forget(store, midnight) == {"messages": 1}


@pytest.mark.parametrize("spring", [False, True], ids=["autumn", "spring"])
def test_what_could_be_disputed_until_midnight_goes_at_midnight_also_when_the_clocks_have_changed(
    tmp_path, spring
):
    placed, month, issued, over = (
        ((2026, 12, 31, 12), Month(2026, 12), (2027, 1, 3), (2027, 4, 6))
        if spring
        else ((2026, 7, 31, 12), Month(2026, 7), (2026, 8, 3), (2026, 11, 4))
    )
    # The last millisecond of a day, so that the period has as few hours as it can have.
    issued_ms, over_ms = local(*issued) + DAY - 1, local(*over)
    store = billing_store(tmp_path, offer(valid_from_ms=0))
    box = SigningBox(store, issued_ms=local(*placed)).enrolled()
    box.submit(box.order(at_ms=local(*placed)), now_ms=local(*placed))
    bill(store, month, issued_ms)
    (found,) = store.read().invoices(None, 9)
    assert disputes.disputable_until(store.read(), found) == over_ms
    draft = partial(disputes.draft_dispute, store.read(), found.number, f"{box.box}/1/1", "why")
    assert draft(over_ms - 1).deadline_ms > over_ms
    with pytest.raises(disputes.BadDisputeError):
        draft(over_ms)
    assert forget(store, over_ms - 1) == {}
    assert forget(store, over_ms) == {"messages": 1, "titles": 1}
    store.close()


def test_what_a_box_sent_at_the_end_of_a_day_is_looked_at_in_time_after_a_day_of_23_hours(tmp_path):
    store = billing_store(tmp_path)
    sent = local(2026, 12, 31) - 1
    box = SigningBox(store).enrolled()
    box.submit(box.delivery(7, "confirmed"), now_ms=sent)
    over = local(2027, 4, 2)
    assert forget(store, over - 1) == {}
    assert forget(store, over) == {"messages": 1}
    store.close()


def test_an_alarms_evidence_goes_and_the_alarm_stays(store, box):
    box.submit(box.order())
    twin = SigningBox(store, key=box.key, box=box.box)
    with pytest.raises(Exception, match="other bytes"):
        twin.submit(twin.order("film-2", price_cents=399))
    assert "evidence" not in forget(store, LOOSE_OVER_MS - 1)
    assert forget(store, LOOSE_OVER_MS)["evidence"] == 1
    assert [alarm.kind for alarm in store.read().alarms(9)] == ["equivocation"]


def test_codes_that_expired_unused_go_and_used_ones_stay_with_their_box(store, box):
    store.write(lambda tx: accounts.add_code(tx, "acc-1", None, NOW_MS, bytes))
    assert forget(store, NOW_MS + 30 * DAY - 1) == {}
    assert forget(store, NOW_MS + 30 * DAY) == {"codes": 1}
    assert store.storage.read().execute("SELECT count(*) FROM codes").fetchone()[0] == 1


def test_it_goes_through_all_of_them_however_few_it_takes_at_a_time(store, box, monkeypatch):
    monkeypatch.setattr(retention, "AT_A_TIME", 2)
    for day in range(5):
        at = NOW_MS + day * 3 * DAY
        name, cents = ("bought", 1299) if day == 3 else ("film-1", 499)
        box.submit(box.order(name, at_ms=at, price_cents=cents), now_ms=at)
    waiting = SigningBox(store).enrolled()
    waiting.submit(waiting.order(price_cents=1), waiting.order(price_cents=2), waiting.order(price_cents=3))
    bill(store)
    assert forget(store, OVER_MS) == {"messages": 5, "titles": 4}


def test_every_annex_that_outlived_its_message_goes_however_few_it_takes_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(retention, "AT_A_TIME", 2)
    names = [f"long-{place}" for place in range(5)]
    store = billing_store(tmp_path, *(offer(name, window_hours=24 * 200) for name in names))
    box = SigningBox(store).enrolled()
    box.submit(*(box.order(name) for name in names))
    bill(store)
    assert forget(store, OVER_MS) == {"messages": 5}
    assert forget(store, NOW_MS + 200 * DAY) == {"titles": 5}
    store.close()


def test_an_annex_that_outlived_its_message_stays_while_a_dispute_about_it_is_open(tmp_path):
    store = billing_store(tmp_path, offer("long", window_hours=24 * 60))
    box = SigningBox(store).enrolled()
    box.submit(box.order("long"))
    bill(store)
    store.write(lambda tx: tx.forget_message(box.box, 1, 1))
    number = next(store.read().invoices(None, 1)).number
    store.write(lambda tx: disputes.open_dispute(tx, number, f"{box.box}/1/1", "why", BILLED_MS))
    assert forget(store, NOW_MS + 60 * DAY) == {}
    assert stands(store, box) == (False, True)
    store.close()


def test_the_outlook_says_what_a_run_then_does_and_changes_nothing(store, box):
    box.submit(box.order(), box.order("bought", price_cents=1299), box.order(price_cents=1))
    bill(store)
    late = OVER_MS - DAY
    box.submit(box.order("film-2", price_cents=399, at_ms=late), now_ms=late)
    found = outlook(store.read(), OVER_MS, ZONE)
    assert (found.messages, found.titles, found.waiting, found.next_ms) == (2, 1, 0, None)
    assert found.held == {"suspended": 1, "unbilled": 1}
    assert forget(store, OVER_MS) == {"messages": 2, "titles": 1}
    before = outlook(store.read(), BILLED_MS, ZONE)
    assert (before.messages, before.held) == (0, {"suspended": 1})


def test_the_outlook_says_when_the_next_is_due(store, box):
    box.submit(box.order())
    bill(store)
    found = outlook(store.read(), OVER_MS - DAY, ZONE)
    assert (found.messages, found.waiting, found.next_ms) == (0, 1, OVER_MS)


# --- the tax period


def books(store):
    return store.storage.read().execute("SELECT * FROM entries ORDER BY entry").fetchall()


def test_references_go_ten_years_after_the_end_of_the_year_of_the_bill_and_no_moment_before(store, box):
    box.submit(box.order())
    bill(store)
    assert "documents" not in forget(store, local(2037, 1, 1) - 1)
    assert books(store)[0]["account"] == "acc-1"
    gone = forget(store, local(2037, 1, 1))
    assert (gone["documents"], gone["orders"], gone["entries"]) == (1, 1, 2)
    (found,) = store.read().invoices(None, 9)
    assert found.account == ""
    assert [line.order_ref for line in found.lines] == [""]
    assert box.stored(1).account is None
    assert {(row["account"], row["ref"], row["text"], row["proof"]) for row in books(store)} == {("",) * 4}
    assert store.read().horizon("tax emptied") == local(2027, 1, 1)
    assert forget(store, local(2037, 1, 1)) == {}


def test_amounts_numbers_hashes_and_sums_stay_so_that_the_chain_and_the_batches_stay_valid(store, box):
    box.submit(box.order(), box.order("included", price_cents=0))
    bill(store)
    store.write(lambda tx: close_batch(tx, BILLED_MS))
    look = store.read()
    before, sums, batch = books(store), look.ledger_totals(1, None), look.batch(1)
    (bill_before,) = look.invoices(None, 9)
    assert forget(store, local(2038, 1, 1))["entries"] == 2
    after = books(store)
    emptied = ("account", "ref", "text", "proof")
    for old, new in zip(before, after, strict=True):
        stays = set(dict(old)) - set(emptied)
        assert {name: old[name] for name in stays} == {name: new[name] for name in stays}
    assert [row["prev_hash"] for row in after[1:]] == [row["hash"] for row in after[:-1]]
    (bill_after,) = store.read().invoices(None, 9)
    assert (bill_after.number, bill_after.gross, bill_after.groups) == (
        bill_before.number,
        bill_before.gross,
        bill_before.groups,
    )
    assert store.read().ledger_totals(1, None) == sums
    assert store.read().batch(1) == batch
    assert reconcile(store.read()).closes
    assert box.stored(2).account is None, "what was never billed goes by the year of its receipt"


def test_usage_of_a_year_stays_as_long_as_its_bill_of_the_next(store, box):
    at = local(2026, 12, 20)
    box.submit(box.order(at_ms=at), now_ms=at)
    bill(store, Month(2026, 12), local(2027, 1, 3))
    forget(store, local(2037, 6, 1))
    assert [row["account"] for row in books(store)] == ["acc-1", "acc-1"]
    forget(store, local(2038, 1, 1))
    assert [row["account"] for row in books(store)] == ["", ""]


def test_later_books_are_untouched_and_still_guarded(store, box):
    box.submit(box.order())
    bill(store)
    later = local(2030, 5, 1)
    box.submit(box.order(at_ms=later), now_ms=later)
    forget(store, local(2037, 1, 1))
    assert [row["account"] for row in books(store)] == ["", "", "acc-1"]
    (entry,) = store.read().entries(3, 3)
    assert entry_hash(entry) == entry.hash
    for change in (
        "UPDATE entries SET account = '', ref = '', text = '', proof = '' WHERE entry = 3",
        "UPDATE entries SET account = 'somebody' WHERE entry = 1",
        "DELETE FROM entries WHERE entry = 1",
    ):
        with engines.raw(engines.where(store)) as connection, pytest.raises(engines.REFUSED):
            connection.execute(change)


def test_a_longer_tax_period_holds_old_books_and_a_shorter_one_frees_none_early(store, box):
    box.submit(box.order())
    bill(store)

    def years(n, at_ms):
        law = law_of(store.read(), "NL", at_ms)
        terms = msgspec.json.encode(msgspec.structs.replace(law, tax_years=n))
        store.write(lambda tx: set_law(tx, "NL", terms, "alice", at_ms))

    years(7, local(2031, 1, 1))
    assert "documents" not in forget(store, local(2036, 12, 1))
    years(12, local(2036, 12, 2))
    assert "documents" not in forget(store, local(2038, 12, 31))
    assert forget(store, local(2039, 1, 1))["documents"] == 1


def test_credit_notes_disputes_and_alarms_go_with_their_year(store, box):
    box.submit(box.order())
    bill(store)
    number = next(store.read().invoices(None, 1)).number
    ref = f"{box.box}/1/1"
    dispute = store.write(lambda tx: disputes.open_dispute(tx, number, ref, "why", BILLED_MS + DAY))
    store.write(lambda tx: disputes.uphold(tx, dispute.dispute, None, "alice", BILLED_MS + 2 * DAY))
    box.prev = "0" * 64
    with pytest.raises(Exception, match="follow"):
        box.submit(box.order())
    gone = forget(store, local(2037, 1, 1))
    assert (gone["documents"], gone["disputes"], gone["alarms"], gone["entries"]) == (2, 1, 1, 3)
    assert list(store.read().disputes(None, None)) == []
    assert reconcile(store.read()).closes


@pytest.mark.parametrize("outcome", ["failed", "stopped", "confirmed"])
def test_a_delivery_report_of_an_order_whose_books_are_emptied_is_stored_and_credits_nothing(
    store, box, outcome
):
    box.submit(box.order())
    bill(store)
    later = local(2037, 1, 1)
    forget(store, later)
    before = books(store)
    assert box.submit(box.delivery(1, outcome), box.order(at_ms=later), now_ms=later).ack == 3
    assert box.stored(3).state is OrderState.RATED
    assert books(store)[: len(before)] == before
    assert [(one.kind, one.detail) for one in store.read().alarms(9)] == (
        [("not-credited", "epoch 1, seq 1: delivery-failed")] if outcome == "failed" else []
    )


def test_a_run_that_was_interrupted_is_finished_by_the_next(store, box, monkeypatch):
    box.submit(box.order())
    bill(store)

    def fails(*_):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(retention, "_empty_outcomes", fails)
        with pytest.raises(RuntimeError):
            forget(store, local(2037, 1, 1))
    box.submit(box.order("included", price_cents=0))
    assert store.read().horizon("tax emptied") == 0
    assert forget(store, local(2037, 1, 1))["orders"] == 1


# --- the job


def test_each_run_leaves_an_audit_line_with_counts_and_nobody(store, box):
    box.submit(box.order())
    bill(store)
    gone = forget(store, OVER_MS)
    store.write(lambda tx: record(tx, gone, OVER_MS))
    line = store.storage.read().execute("SELECT * FROM audit ORDER BY line DESC").fetchone()
    assert tuple(line)[2:6] == ("retention", "forgotten", "", "messages 1, titles 1")


def test_the_job_runs_once_a_day_and_does_not_catch_up_days_that_were_missed(store, box):
    box.submit(box.order())
    bill(store)
    clock = ManualClock(NOW)
    jobs = Jobs([job_retention(store, clock, ZONE)], clock)
    assert jobs.run_due() == 1
    assert jobs.run_due() == 0
    assert jobs.overview()[0].next.name == "2026-10-08"
    clock.advance(timedelta(days=400))
    assert jobs.run_due() == 1
    assert store.read().last_slot("retention") == "2027-11-11"
    assert stands(store, box) == (False, False)


def test_a_clock_that_is_set_back_makes_no_day_due_again(store):
    late = ManualClock(NOW + timedelta(days=3))
    Jobs([job_retention(store, late, ZONE)], late).run_due()
    early = ManualClock(NOW)
    assert Jobs([job_retention(store, early, ZONE)], early).run_due() == 0


def test_a_slot_that_is_done_writes_no_second_line(store):
    clock = ManualClock(NOW)
    job = job_retention(store, clock, ZONE)
    slot = job.next_slot()
    job.run(slot)
    job.run(slot)
    lines = store.storage.read().execute("SELECT count(*) FROM audit WHERE who = 'retention'").fetchone()
    assert lines[0] == 1


def test_the_daily_run_is_due_at_half_past_four_local(store):
    clock = ManualClock(NOW)
    due = job_retention(store, clock, ZONE).next_slot().due
    assert (due.astimezone(ZONE).hour, to_ms(due) % HOUR) == (4, HOUR // 2)


# --- the command line


def test_the_commands_show_and_run(tmp_path):
    folder = tmp_path / "a"
    Installation.create(folder, SETTINGS)
    shown = CliRunner().invoke(retention_group, ["show", str(folder)])
    assert (shown.exit_code, "signed messages due now" in shown.output) == (0, True), shown.output
    ran = CliRunner().invoke(retention_group, ["run", str(folder), "--json"])
    assert (ran.exit_code, ran.output.strip()) == (0, "{}"), ran.output
    assert CliRunner().invoke(retention_group, ["show", str(folder), "--json"]).exit_code == 0
