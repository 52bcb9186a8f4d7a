"""What is done on billing's pages: previews store nothing, forms sent twice do nothing twice."""

from http import HTTPStatus

import pytest

from headend.billing.checker import Verdict
from headend.billing.exports import close_batch
from headend.billing.receivers import holder
from headend.billing.rows import DisputeState, OrderState
from headend.kit.side import Done, Page
from shared import named
from tests import engines
from tests.builders import DAY
from tests.headend.billing.pages.desks import (
    LATER_MS,
    bill_of,
    closed,
    credited,
    disputed,
    fields,
    text_of,
)


def is_refused(office, page, said=""):
    assert isinstance(page, Page)
    assert page.status == HTTPStatus.BAD_REQUEST
    assert 'id="wrong"' in page.inside
    assert said in text_of(page)


# --- credit notes
def test_a_credit_is_shown_with_every_figure_and_nothing_is_stored(office, box):
    before = office.everything()
    form = {
        "number": bill_of(office),
        f"cents:{box.box}/1/1": "1.21",
        f"cents:{box.box}/1/2": "",
        "why": "late",
    }
    page = office.do("invoice/credit", form)
    words = text_of(page)
    assert "Credit in all €1.21" in words
    assert "Net at 21% VAT €1.00" in words
    assert "VAT of 21% €0.21" in words
    assert "Left of the bill before €11.97" in words
    assert "Left of the bill after €10.76" in words
    assert office.everything() == before


def test_a_credit_that_is_confirmed_is_raised_once(office, box):
    form = {"number": bill_of(office), f"cents:{box.box}/1/1": "1.21", "why": "arrived late"}
    page = office.do("invoice/credit", form)
    done = office.confirm(page, "invoice/credit")
    assert isinstance(done, Done)
    (note,) = office.store.read().notes_of(bill_of(office))
    assert note.gross == 121
    assert done.where.endswith(note.number)
    assert "arrived late" not in done.told
    audit = office.store.read().audit_lines(bill_of(office), "", None, 1)[0]
    assert (audit.who, audit.detail) == ("erin", f"{note.number}: arrived late")
    is_refused(office, office.confirm(page, "invoice/credit"), "credited")
    assert len(office.store.read().notes_of(bill_of(office))) == 1


def test_all_that_is_left_is_credited_at_once(office, box):
    credited(office, f"{box.box}/1/1", 100)
    page = office.do("invoice/credit", {"number": bill_of(office), "whole": "1", "why": "goodwill"})
    assert "Left of the bill after €0.00" in text_of(page)
    assert isinstance(office.confirm(page, "invoice/credit"), Done)
    assert office.store.read().order(box.box, 1, 1).state is OrderState.CREDITED


@pytest.mark.parametrize(
    "sent",
    [
        {"cents": "6.00", "why": "x"},
        {"cents": "0", "why": "x"},
        {"cents": "1,50", "why": "x"},
        {"cents": "", "why": "x"},
        {"cents": "1.00", "why": ""},
        {"cents": "1.00", "why": "x" * 501},
    ],
)
def test_a_credit_that_cannot_be_is_refused_in_the_form(office, box, sent):
    before = office.everything()
    form = {"number": bill_of(office), f"cents:{box.box}/1/1": sent["cents"], "why": sent["why"]}
    page = office.do("invoice/credit", form)
    is_refused(office, page)
    assert f'value="{sent["cents"]}"' in page.inside
    assert page.inside.count(">x</textarea>") == (sent["why"] == "x"), "what was sent stands in its own form"
    assert office.everything() == before


def test_a_forged_confirmation_credits_nothing(office, box):
    page = office.do(
        "invoice/credit", {"number": bill_of(office), f"cents:{box.box}/1/1": "1.00", "why": "x"}
    )
    before = office.everything()
    for forged in ("-1", "x", "1e2", "99999", "²"):
        is_refused(office, office.confirm(page, "invoice/credit", {f"credit:{box.box}/1/1": forged}))
    is_refused(office, office.confirm(page, "invoice/credit", {"credit:other/1/1": "5"}))
    assert office.everything() == before


# --- disputes
def test_a_dispute_is_shown_then_opened_once(office, box):
    before = office.everything()
    form = {"number": bill_of(office), "ref": f"{box.box}/1/2", "why": "we were away"}
    page = office.do("dispute/open", form)
    assert "To be decided by" in text_of(page)
    assert office.everything() == before
    done = office.confirm(page, "dispute/open")
    assert isinstance(done, Done)
    assert "away" not in done.told
    (one,) = office.store.read().disputes_of(bill_of(office))
    assert one.why == "we were away"
    assert office.store.read().audit_lines(one.order_ref, "", None, 1)[0].who == "erin"
    is_refused(office, office.confirm(page, "dispute/open"), "disputed already")


def test_a_dispute_that_comes_too_late_is_refused(office, box):
    office.now_ms = LATER_MS + 400 * DAY
    assert "Open a dispute" not in office.look("invoice", number=bill_of(office)).inside
    form = {"number": bill_of(office), "ref": f"{box.box}/1/2", "why": "x", "step": "confirm"}
    is_refused(office, office.do("dispute/open", form))
    is_refused(office, office.do("dispute/open", {**form, "ref": "other/1/1"}))


def test_a_dispute_is_upheld_with_a_credit_note_once(office, box):
    number = str(disputed(office, f"{box.box}/1/2"))
    before = office.everything()
    page = office.do("dispute/uphold", {"dispute": number, "cents": "3.99"})
    assert "Credit in all €3.99" in text_of(page)
    assert office.everything() == before
    assert isinstance(office.confirm(page, "dispute/uphold"), Done)
    one = office.store.read().dispute(int(number))
    assert (one.state, one.note is None) == (DisputeState.UPHELD, False)
    is_refused(office, office.confirm(page, "dispute/uphold"))
    assert len(office.store.read().notes_of(bill_of(office))) == 1


def test_a_dispute_is_not_upheld_when_the_bill_moved_on(office, box):
    number = str(disputed(office, f"{box.box}/1/2"))
    page = office.do("dispute/uphold", {"dispute": number, "cents": "1.00"})
    credited(office, f"{box.box}/1/1", 100)
    is_refused(office, office.confirm(page, "dispute/uphold"), "credited")
    assert office.store.read().dispute(int(number)).state is DisputeState.OPEN


def test_too_much_or_nothing_is_not_given_back(office, box):
    number = str(disputed(office, f"{box.box}/1/2"))
    for cents in ("4.00", "0", "x", ""):
        is_refused(office, office.do("dispute/uphold", {"dispute": number, "cents": cents}))


def test_a_dispute_is_dismissed_with_a_reason_once(office, box):
    number = str(disputed(office, f"{box.box}/1/2"))
    is_refused(office, office.do("dispute/dismiss", {"dispute": number, "why": ""}), "Give a reason")
    before = office.everything()
    page = office.do("dispute/dismiss", {"dispute": number, "why": "the PIN was given"})
    assert office.everything() == before
    assert isinstance(office.confirm(page, "dispute/dismiss"), Done)
    assert office.store.read().dispute(int(number)).state is DisputeState.DISMISSED
    is_refused(office, office.confirm(page, "dispute/dismiss"), "dismissed")
    assert "Decided" in office.look("dispute", number=number).inside


def test_disputes_are_listed_by_deadline_and_late_ones_are_told(office, box):
    disputed(office, f"{box.box}/1/2", LATER_MS)
    first = disputed(office, f"{box.box}/1/1", LATER_MS - DAY)
    page = office.look("disputes")
    assert page.inside.index(f"number={first}") < page.inside.index("number=1")
    assert page.about == ("acc-1",)
    office.now_ms = LATER_MS + 300 * DAY
    assert "2 disputes are past their deadline." in text_of(office.look("disputes"))
    assert "No dispute." in text_of(office.look("disputes", state="decided"))


# --- suspense
def pick(box, *seqs):
    return {f"pick:{box.box}/1/{seq}": "1" for seq in seqs}


def test_the_queue_tells_reasons_ages_and_values(office, box):
    words = text_of(office.look("suspense"))
    assert "2 orders wait for a decision, worth €9.49." in words
    assert "price is not the offer's" in words
    page = office.look("suspense", reason="unknown-offer")
    assert f"{box.box}/1/5" in page.inside
    assert f"{box.box}/1/4" not in page.inside


def test_several_orders_are_shown_then_decided_at_once(office, box):
    before = office.everything()
    page = office.do("suspense/decide", {"what": "readmit", **pick(box, 4, 5)})
    assert "€4.99 would be billed." in text_of(page), "the other is a play within a window that is paid"
    assert office.everything() == before
    is_refused(office, office.confirm(page, "suspense/decide"), "Give a reason")
    done = office.confirm(page, "suspense/decide", {"why": "the screen showed it"})
    assert isinstance(done, Done)
    look = office.store.read()
    assert look.order(box.box, 1, 4).state is OrderState.ZERO_RATED
    assert look.order(box.box, 1, 5).state is OrderState.RATED
    assert look.audit_lines(f"{box.box}/1/4", "", None, 1)[0].detail == "the screen showed it"
    again = office.confirm(page, "suspense/decide", {"why": "again"})
    is_refused(office, again, "rated")
    assert len(look.entries_of(f"{box.box}/1/5")) == 1


def test_two_plays_of_one_window_are_shown_as_one_payment(office, box):
    at = LATER_MS - DAY
    both = [box.order("film-2", price_cents=1, at_ms=at), box.order("film-2", price_cents=2, at_ms=at + 5)]
    box.submit(*both, now_ms=LATER_MS)
    page = office.do("suspense/decide", {"what": "readmit", **pick(box, 7, 8)})
    assert "€0.01 would be billed." in text_of(page)
    assert "played within a window that is paid" in text_of(page)


def test_orders_are_decided_all_or_none(office, box):
    page = office.do("suspense/decide", {"what": "reject", **pick(box, 4, 5)})
    office.confirm(
        office.do("suspense/decide", {"what": "reject", **pick(box, 5)}), "suspense/decide", {"why": "x"}
    )
    is_refused(office, office.confirm(page, "suspense/decide", {"why": "both"}))
    assert office.store.read().order(box.box, 1, 4).state is OrderState.SUSPENDED


@pytest.mark.parametrize(
    "form",
    [{"what": "readmit"}, {"what": "burn", "pick:a/1/1": "1"}, {"what": "readmit", "pick:nobody/1/1": "1"}],
)
def test_a_decision_about_nothing_is_refused(office, form):
    is_refused(office, office.do("suspense/decide", form))


def test_what_cannot_be_readmitted_is_said_in_the_preview(office, box):
    page = office.do("suspense/decide", {"what": "readmit", **pick(box, 1)})
    assert "cannot be done" in text_of(page)
    assert "is billed" in text_of(page)
    assert fields(page.inside, "suspense/decide") == {}


def test_an_order_is_corrected_with_a_preview_of_what_is_billed(office, box):
    form = {"ref": f"{box.box}/1/4", "price": "3.00", "account": "acc-2"}
    before = office.everything()
    page = office.do("suspense/correct", form)
    assert "€3.00 would be billed." in text_of(page)
    assert page.about == ("acc-1", "acc-2")
    assert office.everything() == before
    assert isinstance(office.confirm(page, "suspense/correct", {"why": "half price"}), Done)
    row = office.store.read().order(box.box, 1, 4)
    assert (row.payable, row.account, row.state) == (300, "acc-2", OrderState.RATED)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"price": "9.99"},
        {"price": "abc"},
        {"offer": "film-2"},
        {"offer": "film-2", "version": "x"},
        {"offer": "film-2", "version": "7"},
        {"account": "nobody"},
    ],
)
def test_a_correction_that_cannot_be_is_refused_and_changes_nothing(office, box, changes):
    before = office.everything()
    page = office.do("suspense/correct", {"ref": f"{box.box}/1/4", **changes})
    assert "cannot be done" in text_of(page)
    confirmed = {"ref": f"{box.box}/1/4", **changes, "step": "confirm", "why": "x"}
    is_refused(office, office.do("suspense/correct", confirmed))
    assert office.everything() == before


def test_the_price_that_is_proposed_is_what_the_screen_showed_as_payable(office, box):
    promoted = box.order("unknown", promotion="autumn", promotion_version=1, credit_cents=200)
    box.submit(promoted, now_ms=LATER_MS)
    page = office.look("order", ref=f"{box.box}/1/7")
    assert 'placeholder="2.99"' in page.inside


def test_an_order_that_waits_on_once_it_has_been_read_is_shown_so(office, box, monkeypatch):
    box.submit(box.order("film-2", v=3, price_cents=1), now_ms=LATER_MS)
    monkeypatch.setattr(named, "SPOKEN_VERSIONS", (2, 3))
    page = office.do("suspense/decide", {"what": "readmit", **pick(box, 7)})
    assert "€0.00 would be billed." in text_of(page)
    assert "suspended price is not the offer's" in text_of(page)


# --- exports
def test_a_batch_is_closed_up_to_what_was_shown(office, box):
    page = office.look("exports")
    assert "7 ledger entries are in no batch yet: 1 to 7." in text_of(page) or "are in no batch" in text_of(
        page
    )
    shown = fields(page.inside, "export/close")
    credited(office, f"{box.box}/1/1", 100)
    is_refused(office, office.confirm(page, "export/close"), "Confirm that")
    done = office.confirm(page, "export/close", {"sure": "1"})
    assert isinstance(done, Done)
    batch = office.store.read().batch(1)
    assert batch.last_entry == int(shown["last"])
    assert office.store.read().last_entry()[0] == batch.last_entry + 1
    assert office.store.read().audit_lines("1", "", None, 1)[0].who == "erin"
    is_refused(office, office.confirm(page, "export/close", {"sure": "1"}))
    assert office.store.read().batch(2) is None


def test_a_batch_is_not_closed_when_another_took_a_part_of_it(office):
    page = office.look("exports")
    office.store.write(lambda tx: close_batch(tx, LATER_MS, 3))
    is_refused(office, office.confirm(page, "export/close", {"sure": "1"}))
    assert office.store.read().batch(2) is None


def test_a_batch_that_does_not_follow_the_one_before_does_not_verify(office):
    office.store.write(lambda tx: close_batch(tx, LATER_MS, 3))
    closed(office)

    def tamper(db):
        engines.unguard(db, "batches")
        db.execute(f"UPDATE batches SET hash = '{'2' * 64}' WHERE batch = 1")

    office.store.storage.write(tamper)
    office.do("export/verify", {"batch": "2"})
    (found,) = office.store.read().verifications(2, 1)
    assert (found.verdict, "batch before" in found.detail) == (Verdict.CHAIN, True)


@pytest.mark.parametrize("last", ["0", "99999", ""])
def test_a_batch_is_not_closed_with_another_last_entry(office, last):
    is_refused(office, office.do("export/close", {"batch": "1", "last": last, "sure": "1"}))
    assert office.store.read().batch(1) is None


def test_a_batch_is_verified_and_the_verdict_is_kept(office):
    closed(office)
    assert isinstance(office.do("export/verify", {"batch": "1"}), Done)
    (found,) = office.store.read().verifications(1, 5)
    assert (found.verdict, found.who, found.at_ms) == (Verdict.OK, "erin", LATER_MS)
    assert "holds" in text_of(office.look("exports"))


@pytest.mark.parametrize(
    ("sql", "verdict"),
    [
        ("UPDATE entries SET text = 'forged' WHERE entry = 3", Verdict.CHAIN),
        ("UPDATE entries SET text = 'forged' WHERE entry = 1", Verdict.CHAIN),
        ("DELETE FROM entries WHERE entry = 4", Verdict.GAP),
        ("UPDATE batch_sums SET vat = vat + 1", Verdict.TOTALS),
        (f"UPDATE batches SET prev_hash = '{'1' * 64}'", Verdict.CHAIN),
        (f"UPDATE batches SET root = '{'1' * 64}'", Verdict.CHAIN),
    ],
)
def test_what_was_tampered_with_does_not_verify(office, sql, verdict):
    closed(office)

    def tamper(db):
        engines.unguard(db)
        db.execute(sql)

    office.store.storage.write(tamper)
    office.do("export/verify", {"batch": "1"})
    assert office.store.read().verifications(1, 1)[0].verdict == verdict
    assert "does not hold" in text_of(office.look("export", batch="1")) or verdict == Verdict.GAP


# --- keys
def test_a_key_is_shown_once_and_opens_until_it_is_revoked(office):
    form = {"name": "erp", "scope:read": "1"}
    page = office.do("export-keys/create", form)
    key = page.inside.split('<code class="hash">')[1].split("</code>")[0]
    assert holder(office.store.read(), key, "read").name == "erp"
    assert key not in office.look("export-keys").inside
    assert office.store.read().audit_lines("erp", "", None, 1)[0].who == "erin"
    is_refused(office, office.do("export-keys/create", form), "before")
    assert isinstance(office.do("export-keys/revoke", {"name": "erp"}), Done)
    is_refused(office, office.do("export-keys/revoke", {"name": "erp"}))
    with pytest.raises(Exception, match="no such key"):
        holder(office.store.read(), key, "read")


@pytest.mark.parametrize(
    "form", [{"name": "erp"}, {"name": "", "scope:read": "1"}, {"name": "a b", "scope:read": "1"}]
)
def test_a_key_without_a_name_or_a_scope_is_refused(office, form):
    is_refused(office, office.do("export-keys/create", form))
    assert list(office.store.read().export_keys()) == []
