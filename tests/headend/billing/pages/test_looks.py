"""Billing's pages: what they tell, to whom they lead, and what they refuse."""

from datetime import UTC, datetime
from http import HTTPStatus

import pytest

from headend.billing import exports
from headend.billing.exports import NoSuchBatchError
from headend.billing.formats.registry import NoSuchFormatError
from headend.billing.pages.amounts import cents_of, typed
from headend.billing.pages.desk import BadAddressError, BadFormError
from headend.billing.pages.offered import make_deeds, make_downloads, make_pages
from headend.billing.pages.tiles import tiles
from headend.billing.proofs import check_proof
from headend.billing.rows import NotFoundError
from headend.disclosure import Kind, Recipient
from headend.kit.side import Done
from shared.clock import to_ms
from tests.builders import CATALOGUE_KEY, DAY, HOUR, visit
from tests.headend.billing.pages.desks import (
    LATER_MS,
    alarmed,
    bill_of,
    closed,
    credited,
    disputed,
    text_of,
)


# --- amounts
@pytest.mark.parametrize(
    ("language", "text", "cents"),
    [
        ("en", "1.50", 150),
        ("en", "1,234.50", 123450),
        ("en", "4", 400),
        ("en", "€ 0.05", 5),
        ("nl", "1,50", 150),
        ("nl", "1.234,50", 123450),
        ("fr", "1,50 €", 150),
        ("fr", "1 234,50", 123450),
        ("fr", "1\u202f234,50", 123450),
    ],
)
def test_an_amount_is_read_as_people_of_the_language_write_it(language, text, cents):
    assert cents_of(text, visit(language=language).language) == cents


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "1,50"),
        ("nl", "1.50"),
        ("fr", "1.50"),
        ("en", ""),
        ("en", "-1"),
        ("en", "1.5"),
        ("en", "1.505"),
        ("en", "1e3"),
        ("en", "١٢"),
        ("en", "12345678"),
        ("en", "1,2,3"),
        ("nl", "1.23,00"),
    ],
)
def test_an_amount_that_is_not_quite_one_is_refused(language, text):
    with pytest.raises(BadFormError):
        cents_of(text, visit(language=language).language)


@pytest.mark.parametrize("language", ["en", "nl", "fr"])
@pytest.mark.parametrize("cents", [0, 5, 150, 123456, 99999999])
def test_what_is_typed_back_is_the_same_amount(language, cents):
    words = visit(language=language).language
    assert cents_of(typed(cents, words), words) == cents


# --- orders
def test_orders_are_listed_newest_first_with_their_accounts(office, box):
    page = office.look("orders")
    assert set(page.about) == {"acc-1", "acc-2"}
    assert page.inside.index(f"{box.box}/1/6") < page.inside.index(f"{box.box}/1/1<")
    assert "7 orders" in text_of(page)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"state": "suspended"}, ["4", "5"]),
        ({"state": "billed", "account": "acc-1"}, ["1", "2", "3"]),
        ({"month": "2026-10", "display": "on demand"}, ["3", "5"]),
        ({"month": "2026-10", "state": "zero-rated"}, ["6"]),
        ({"month": "2025-01"}, []),
        ({"display": "game"}, []),
        ({"account": "acc-1", "display": "film", "state": "suspended"}, ["4"]),
        ({"account": "nobody"}, []),
    ],
)
def test_orders_are_chosen_by_everything_at_once(office, box, chosen, expected):
    page = office.look("orders", **chosen)
    shown = [str(seq) for seq in range(1, 7) if f"{box.box}/1/{seq}</code>" in page.inside]
    assert shown == expected
    by_box = office.look("orders", box=box.box, **chosen)
    assert [str(seq) for seq in range(1, 7) if f"{box.box}/1/{seq}</code>" in by_box.inside] == expected


def test_orders_are_paged_without_losing_or_doubling_any(office, box, monkeypatch):
    monkeypatch.setattr("headend.billing.pages.orders.ROWS", 2)
    for chosen in ({}, {"month": "2026-10"}, {"account": "acc-1"}, {"box": box.box}):
        seen, args = [], dict(chosen)
        for _ in range(9):
            page = office.look("orders", **args)
            seen += [ref.split("</code>")[0] for ref in page.inside.split('<a href="/console/order?')[1:]]
            if 'rel="next"' not in page.inside:
                break
            older = page.inside.split('rel="next"')[0].rsplit("before=", 1)[1]
            args = {**chosen, "before": older.split("&")[0].split('"')[0]}
        assert len(seen) == len(set(seen)) == (6 if "account" in chosen or "box" in chosen else 7)


@pytest.mark.parametrize(
    "args",
    [{"state": "lost"}, {"month": "2026-13"}, {"display": "A Film"}, {"before": "x"}, {"before": "-1"}],
)
def test_an_address_that_asks_for_what_there_is_not_is_refused(office, args):
    with pytest.raises(BadAddressError):
        office.look("orders", **args)


def test_an_order_tells_its_evidence_its_place_and_its_bill(office, box):
    page = office.look("order", ref=f"{box.box}/1/1")
    words = text_of(page)
    assert page.about == ("acc-1",)
    assert "A Very Particular Film" in words
    assert "The PIN was given." in words
    assert "number 1 of 6" in words
    assert bill_of(office) in words
    assert "the beginning of the epoch" in words
    assert office.store.read().link(box.box, 1, 1).hash in words
    assert "no closed export batch yet" in words


def test_a_title_that_may_not_be_on_the_bill_is_not_on_the_page(office, box):
    assert "A Third Film" not in office.look("order", ref=f"{box.box}/1/3").inside
    assert "Another Film" not in office.look("order", ref=f"{box.box}/1/2").inside


def test_an_order_whose_message_is_forgotten_keeps_its_hash(office, box):
    def forget(tx):
        tx.forget_message(box.box, 1, 1)
        tx.forget_annex(box.box, 1, 1)

    office.store.write(forget)
    words = text_of(office.look("order", ref=f"{box.box}/1/1"))
    assert "no longer kept" in words
    assert office.store.read().link(box.box, 1, 1).envelope_hash in words
    assert "A Very Particular Film" not in words


@pytest.mark.parametrize("ref", ["", "x", "box/1", "box/1/x", "box/1/²", "box/1/" + "9" * 30])
def test_what_is_no_reference_is_refused(office, ref):
    with pytest.raises(BadAddressError):
        office.look("order", ref=ref)


def test_an_order_that_there_is_not_is_not_found(office):
    with pytest.raises(NotFoundError):
        office.look("order", ref="nobox/1/1")


def test_a_proof_is_cleared_for_the_subscriber_and_audited(office, box):
    ref = f"{box.box}/1/1"
    closed(office)
    assert "proofs/order.json" in office.look("order", ref=ref).inside
    file = office.file("proofs/order.json", ref=ref)
    assert file.cleared.recipient == Recipient.SUBSCRIBER
    assert check_proof(file.cleared.payload, CATALOGUE_KEY.public_key()).ref == ref
    assert office.store.read().audit_lines(ref, "", None, 1)[0].who == "erin"


# --- search
@pytest.mark.parametrize("what", ["account", "box", "order", "bill"])
def test_what_is_found_exactly_is_gone_to(office, box, what):
    ref, number = f"{box.box}/1/2", bill_of(office)
    text = {"account": "acc-1", "box": box.box, "order": ref, "bill": number}[what]
    done = office.do("find", {"text": f" {text} "})
    assert isinstance(done, Done)
    expected = {
        "account": "account?account=acc-1",
        "box": f"box?box={box.box}",
        "bill": f"invoice?number={number}",
    }
    assert done.where.startswith("/console/" + expected.get(what, "order?ref="))
    assert done.told == ""


def test_what_begins_so_is_told_and_what_does_not_is_said(office):
    page = office.do("find", {"text": "acc"})
    assert page.about == ("acc-1", "acc-2")
    assert "acc-2" in page.inside
    assert "No account, box or bill begins so" in office.do("find", {"text": "nothing like it"}).inside
    assert "<script>" not in office.do("find", {"text": "<script>"}).inside
    assert "begins so" in office.do("find", {"text": ""}).inside


# --- accounts and bills
def test_an_account_shows_its_boxes_orders_bills_disputes_and_alarms(office, box):
    number = disputed(office, f"{box.box}/1/2")
    alarmed(office, box)
    page = office.look("account", account="acc-1")
    words = text_of(page)
    assert page.about == ("acc-1",)
    for told in (box.box, f"{box.box}/1/3", bill_of(office), "gap in a chain"):
        assert told in words
    assert f'href="/console/dispute?number={number}"' in page.inside
    assert "account=acc-2" not in page.inside
    with pytest.raises(NotFoundError):
        office.look("account", account="nobody")


@pytest.mark.parametrize(
    ("chosen", "bills", "notes"),
    [({}, 2, 1), ({"kind": "credit-note"}, 0, 1), ({"month": "2026-10"}, 2, 1), ({"account": "acc-2"}, 1, 0)],
)
def test_bills_are_chosen_by_account_month_and_kind(office, box, chosen, bills, notes):
    credited(office, f"{box.box}/1/1", 100)
    rows = office.look("invoices", **chosen).inside.split("<tbody>")[1]
    assert rows.count('scope="row"') == bills + notes
    assert rows.count(">CRN-") == notes
    with pytest.raises(BadAddressError):
        office.look("invoices", kind="reminder")


def test_a_bill_is_shown_as_its_subscriber_sees_it(office, box):
    note = credited(office, f"{box.box}/1/1", 100)
    page = office.look("invoice", number=bill_of(office))
    words = text_of(page)
    assert "A Very Particular Film" in words
    assert "Another Film" not in words
    assert "A Third Film" not in words
    assert "Nederlands" in words
    assert note in words
    assert f"order?ref={box.box}%2F1%2F1" in page.inside
    assert "To pay" in words
    assert "Bill INV-2026-000001" in page.title


def test_bills_are_files_for_the_subscriber_and_stand_in_the_audit(office):
    number = bill_of(office)
    file = office.file("invoices/bill.xml", number=number)
    assert (file.cleared.kind, file.cleared.recipient) == (Kind.INVOICE, Recipient.SUBSCRIBER)
    assert number.encode() in file.cleared.payload
    assert b"A Very Particular Film" not in file.cleared.payload
    assert office.store.read().audit_lines(number, "", None, 1)[0].what == "invoice written"
    pytest.importorskip("typst")
    assert office.file("invoices/bill.pdf", number=number).cleared.payload.startswith(b"%PDF")


def test_a_bill_that_there_is_not_is_not_found(office):
    for path in ("invoices/bill.pdf", "invoices/bill.xml"):
        with pytest.raises(NotFoundError):
            office.file(path, number="INV-1999-000001")
    with pytest.raises(NotFoundError):
        office.look("invoice", number="")


# --- exports
def test_batches_tell_totals_who_has_them_and_how_they_were_verified(office):
    before = text_of(office.look("exports"))
    assert "No batch has been closed." in before
    closed(office)
    words = text_of(office.look("exports"))
    assert "waiting for" in words
    assert "not yet" in words
    assert "there is nothing to close" in words
    one = text_of(office.look("export", batch="1"))
    assert office.store.read().batch(1).root in one
    with pytest.raises(NoSuchBatchError):
        office.look("export", batch="7")


@pytest.mark.parametrize("name", ["jsonl", "csv"])
def test_a_batch_is_handed_out_in_pieces_the_same_each_time(office, name):
    closed(office)
    file = office.file("exports/batch", batch="1", format=name)
    assert file.cleared.recipient == Recipient.BILLING_SYSTEM
    whole = b"".join(file.cleared.payload())
    assert whole == b"".join(file.cleared.payload())
    assert f"{bill_of(office)}" in whole.decode()
    assert office.store.read().audit_lines("1", "", None, 1)[0].what == "export downloaded"
    with pytest.raises(NoSuchFormatError):
        office.file("exports/batch", batch="1", format="exe")


def test_the_signed_head_of_a_batch_is_handed_out(office):
    batch = closed(office)
    head = office.file("exports/head", batch="1").cleared.payload
    assert head == exports.signed_head(batch, CATALOGUE_KEY)


# --- reconciliation
def test_whether_a_month_is_billed_is_answered_in_a_sentence(office, box):
    assert "Not yet. 2 orders wait in suspense." in text_of(office.look("reconciliation", month="2026-10"))
    for seq in (4, 5):
        form = {"what": "reject", f"pick:{box.box}/1/{seq}": "1", "step": "confirm", "why": "wrong"}
        assert isinstance(office.do("suspense/decide", form), Done)
    page = office.look("reconciliation")
    assert "Has everything that boxes ordered in October 2026 been billed?" in text_of(page)
    assert "Yes. Every order of the month has been billed" in text_of(page)
    assert "orders?month=2026-10&amp;state=rejected" in page.inside


def test_a_message_in_flight_counts_for_the_month_that_it_may_be_of(office, box):
    box.order()
    box.submit(box.order("film-2", price_cents=399), now_ms=LATER_MS)
    for month in ("2026-10", "2026-11"):
        assert "In flight, perhaps of this month 2" in text_of(office.look("reconciliation", month=month))
    assert "In flight, perhaps of this month 0" in text_of(office.look("reconciliation", month="2026-09"))


def test_a_month_that_is_not_over_is_not_said_to_be_billed(office):
    page = office.look("reconciliation", month="2026-11")
    assert "The month is not over" in text_of(page)
    assert "answer good" not in page.inside
    with pytest.raises(BadAddressError):
        office.look("reconciliation", month="October")


# --- boxes
def test_boxes_are_told_by_when_they_were_heard(office, box):
    assert "No box fits" in office.look("boxes", heard="24h").inside
    assert box.box in office.look("boxes", heard="silent").inside
    office.store.write(lambda tx: tx.hear(box.box, "1.5.0", LATER_MS - HOUR // 2))
    assert box.box in office.look("boxes", heard="1h").inside
    assert "1.5.0" in office.look("boxes").inside
    listed = office.look("boxes", agent="1.5.0").inside.split('id="list"')[1].split("<tbody>")[1]
    assert listed.split("</tbody>")[0].count("<tr>") == 1
    office.store.write(lambda tx: tx.release_box(box.box, LATER_MS))
    assert box.box in office.look("boxes", heard="released").inside
    assert box.box not in office.look("boxes").inside
    with pytest.raises(BadAddressError):
        office.look("boxes", heard="never")


def test_a_box_tells_its_chain_and_says_that_viewing_is_not_known(office, box):
    box.submit(box.delivery(2, "failed"), now_ms=LATER_MS)
    page = office.look("box", box=box.box)
    words = text_of(page)
    assert "Nothing about viewing is known here" in words
    assert "delivery" in words
    assert f"{box.box}/1/2" in words
    assert "SN-0001" in words
    assert page.about == ("acc-1",)
    with pytest.raises(NotFoundError):
        office.look("box", box="nobody")


def test_a_gap_is_told_of_the_box_and_of_the_fleet(office, box):
    box.order()
    box.submit(box.order(), now_ms=LATER_MS)
    assert "2 messages missing" in text_of(office.look("boxes"))
    assert "Gap since" in text_of(office.look("box", box=box.box))
    assert "2 messages that boxes told of are not here yet." in text_of(office.look("gaps"))
    assert box.box in office.look("gaps").inside
    assert box.box not in office.look("gaps", after="1").inside


def test_alarms_are_listed_by_kind(office, box):
    alarmed(office, box)
    alarmed(office, box, "fork")
    assert "gap in a chain" in office.look("alarms", kind="gap").inside.split("<tbody>")[1]
    assert "chain forked" not in office.look("alarms", kind="gap").inside.split("<tbody>")[1]
    with pytest.raises(BadAddressError):
        office.look("alarms", kind="boredom")


# --- tiles
def test_tiles_lead_on_and_alarm_only_where_somebody_must_act(office, box):
    shown = {tile.label: tile for tile in tiles(office.desk, visit())}
    assert tiles(office.desk, visit(role="analyst")) == []
    assert all(tile.href.startswith("/console/") for tile in shown.values())
    assert {label for label, tile in shown.items() if tile.alarm} == {"In suspense"}
    assert shown["In suspense"].value == "€9.49"
    disputed(office, f"{box.box}/1/1")
    alarmed(office, box)
    office.now_ms = LATER_MS + 400 * DAY
    late = {tile.label: tile for tile in tiles(office.desk, visit())}
    assert late["Disputes"].alarm
    assert not late["Alarms"].alarm
    office.now_ms = LATER_MS
    assert {tile.label: tile for tile in tiles(office.desk, visit())}["Alarms"].alarm


def test_orders_of_today_are_counted_from_midnight(office, box):
    office.now_ms = to_ms(datetime(2026, 11, 7, 12, tzinfo=UTC))
    midnight = to_ms(datetime(2026, 11, 6, 23, tzinfo=UTC))
    box.submit(box.order(at_ms=midnight - 1), now_ms=midnight - 1)
    box.submit(box.order("film-2", price_cents=399, at_ms=midnight), now_ms=midnight)
    shown = {tile.label: tile.value for tile in tiles(office.desk, visit())}
    assert (shown["Orders today"], shown["Orders this month"]) == ("1", "2")


# --- everything
def test_everything_is_for_the_billing_role_alone(office):
    offered = [*make_pages(office.desk), *make_deeds(office.desk), *make_downloads(office.desk)]
    assert {part.roles for part in offered} == {frozenset({"billing"})}


@pytest.mark.parametrize("language", ["nl", "fr"])
def test_amounts_and_days_are_written_as_the_language_has_them(office, language):
    page = office.look("invoice", language, number=bill_of(office))
    assert "€" in page.inside
    assert "4,99" in page.inside
    assert page.status == HTTPStatus.OK
