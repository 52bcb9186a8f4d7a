import io
import json
import re
import zipfile
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from headend.billing import accounts, disputes
from headend.billing import credits as corrections
from headend.billing.archive import NOBODY, TABLES, Extras, archive
from headend.billing.documents.document import Seller
from headend.billing.engines import open_store
from headend.billing.erasure import erase
from headend.billing.exports import close_batch
from headend.billing.invoices import raise_month
from headend.billing.rating import Reason
from headend.billing.requests import receive_request
from headend.billing.rows import DisputeState, NotFoundError, OrderState, RequestKind
from headend.billing.sellers import set_seller
from headend.billing.wording import LANGUAGES, words_of
from headend.cli.rights import account_archive
from headend.disclosure import Kind, Purpose, Recipient
from headend.installation import Installation
from shared.clock import to_ms
from shared.field_register import declared
from shared.weeks import Month
from tests.builders import DAY, NOW_MS, SigningBox, account, billing_store, offer, promotion
from tests.headend.billing.test_retention import BILLED_MS, SETTINGS

LATER_MS = BILLED_MS + DAY
TITLE = "A Very Particular Film"
SELLER = Seller("NL", "Kijk & Koop B.V.", "NL123456789B01", "Kade 1", "1011 AB", "Amsterdam")


@pytest.fixture
def lived(tmp_path):
    """An account with a row in every table that can have one."""
    offers = (
        offer(),
        offer("film-2", price_cents=399, display="class"),
        offer("bought", mode="buy", window_hours=0, price_cents=1299),
        offer("tricky", title="<script>alert('x')</script> & co", price_cents=299),
    )
    store = billing_store(tmp_path, *offers, promotions=(promotion(),))
    store.write(lambda tx: set_seller(tx, SELLER, "alice", NOW_MS))
    store.write(lambda tx: tx.add_audit(NOW_MS, "command line", "account added", "acc-1", "NL"))
    box = SigningBox(store).enrolled()
    box.submit(
        box.order(promotion="autumn", promotion_version=1, credit_cents=200),
        box.order("film-2", price_cents=399),
        box.order("bought", price_cents=1299),
        box.order("tricky", price_cents=299),
        box.delivery(2, "confirmed"),
    )
    store.write(lambda tx: tx.tell(box.box, 1, 9, NOW_MS))
    raise_month(store, Month(2026, 10), BILLED_MS)
    number = next(store.read().invoices(None, 1)).number
    ref = f"{box.box}/1/2"
    store.write(lambda tx: disputes.open_dispute(tx, number, ref, "we were away", BILLED_MS))
    asked = ("dana", BILLED_MS)
    store.write(lambda tx: receive_request(tx, "acc-1", RequestKind.ACCESS, BILLED_MS, asked))
    store.write(lambda tx: disputes.uphold(tx, 1, 399, "alice", BILLED_MS))
    store.write(lambda tx: close_batch(tx, BILLED_MS))
    store.write(lambda tx: tx.draw_reporting("2026-W45", {"acc-1": box.box}))
    store.write(lambda tx: tx.add_grant("2026-W45", "acc-1", "genre", "ab" * 32, b"\xff\x00"))
    twin = SigningBox(store, key=box.key, box=box.box)
    with pytest.raises(Exception, match="other bytes"):
        twin.submit(twin.order("film-2", price_cents=399))
    box.submit(box.order("film-2", price_cents=1, at_ms=LATER_MS), now_ms=LATER_MS)
    yield box
    store.close()


def opened(store, name="acc-1", now_ms=LATER_MS, prove=None):
    whole = archive(store, name, Extras("alice", now_ms, prove))
    with zipfile.ZipFile(io.BytesIO(whole.payload)) as files:
        assert files.testzip() is None
        return {one: files.read(one) for one in files.namelist()}


def records(files):
    return json.loads(files["records.json"])["tables"]


def test_every_table_of_the_register_gives_its_rows_or_has_nobody_in_it(lived):
    tables = records(opened(lived.store))
    register = declared("billing")
    assert set(TABLES) | set(NOBODY) == set(register)
    assert set(TABLES) & set(NOBODY) == set()
    assert [table for table in TABLES if not tables[table]] == []
    for table, rows in tables.items():
        for row in rows:
            beside = {f"{name}_ms" for name in row} & set(row)
            assert set(row) - {name.removesuffix("_ms") for name in beside} <= register[table].fields, table


def test_a_table_that_has_nobody_has_no_column_that_names_an_account_or_a_box():
    register = declared("billing")
    for table, reason in NOBODY.items():
        assert reason
        assert not register[table].fields & {"account", "box", "ref", "order_ref", "serial"}, table


def test_the_rows_are_whole_with_iso_times_beside_the_milliseconds(lived):
    tables = records(opened(lived.store))
    (first, *_) = sorted(tables["orders"], key=lambda row: row["seq"])
    assert (first["account"], first["price_cents"], first["state"]) == ("acc-1", 499, "billed")
    assert (first["placed_ms"], first["placed"]) == (NOW_MS, "2026-10-07T20:00:00.000Z")
    assert {row["title"] for row in tables["annex"]} >= {TITLE}
    assert len(tables["chain"]) == 6
    assert [row["why"] for row in tables["disputes"]] == ["we were away"]
    assert tables["batches"][0]["missing"][0]["box"] == lived.box
    assert tables["grants"][0]["response"] == "/wA="


def test_the_signed_messages_are_there_as_they_were_received(lived):
    files = opened(lived.store)
    for seq, envelope in enumerate(lived.sent, 1):
        assert files[f"envelopes/{lived.box}/1/{seq}.json"] == envelope


def test_bills_and_credit_notes_are_there_as_documents(lived):
    pytest.importorskip("typst")
    files = opened(lived.store)
    for number in ("INV-2026-000001", "CRN-2026-000001"):
        assert b"<cbc:ID>" + number.encode() in files[f"bills/{number}.xml"]
        assert files[f"bills/{number}.pdf"].startswith(b"%PDF")
    assert TITLE.encode() not in files["bills/INV-2026-000001.xml"]


def test_without_a_seller_the_archive_is_made_without_documents(tmp_path):
    store = billing_store(tmp_path)
    box = SigningBox(store).enrolled()
    box.submit(box.order())
    raise_month(store, Month(2026, 10), BILLED_MS)
    files = opened(store)
    assert not [name for name in files if name.startswith("bills/")]
    assert records(files)["invoices"][0]["number"] == "INV-2026-000001"
    store.close()


def test_proofs_are_asked_for_each_posted_order_and_left_out_where_there_is_none(lived):
    asked = []

    def prove(ref):
        asked.append(ref)
        return b"{}" if ref.endswith("/1/1") else None

    files = opened(lived.store, prove=prove)
    assert asked == [f"{lived.box}/1/{seq}" for seq in (1, 2, 3, 4)]
    assert [name for name in files if name.startswith("proofs/")] == [f"proofs/{lived.box}/1/1.json"]


def test_it_is_cleared_for_its_subscriber_only_and_audited(lived):
    whole = archive(lived.store, "acc-1", Extras("alice", LATER_MS))
    assert (whole.kind, whole.recipient, whole.purpose) == (
        Kind.ACCOUNT_RECORDS,
        Recipient.SUBSCRIBER,
        Purpose.ACCESS_REQUEST,
    )
    lines = list(lived.store.read().rows_about("audit", "acc-1"))
    assert (lines[-1]["who"], lines[-1]["what"], lines[-1]["ref"]) == (
        "alice",
        "account records given",
        "acc-1",
    )


def test_an_unknown_account_is_refused_and_nothing_is_written(lived):
    with pytest.raises(NotFoundError):
        archive(lived.store, "nobody", Extras("alice", LATER_MS))
    assert not list(lived.store.read().rows_about("audit", "nobody"))


def test_it_holds_nothing_of_another_account_and_not_even_its_name(lived):
    store = lived.store
    store.write(lambda tx: tx.add_account(account("neighbour-7", postal_area="9999")))
    other = SigningBox(store, account="neighbour-7").enrolled()
    other.submit(other.order())
    at = LATER_MS + DAY
    store.write(lambda tx: accounts.move_box(tx, lived.box, "neighbour-7", "alice", at))
    lived.submit(lived.order(at_ms=at + DAY), lived.delivery(7, "confirmed", at + DAY), now_ms=at + DAY)
    assert lived.stored(7).account == "neighbour-7"
    late = SigningBox(store, key=lived.key, box=lived.box)
    with pytest.raises(Exception, match="other bytes"):
        late.submit(late.order("bought", price_cents=1299), now_ms=at + DAY)
    store.write(lambda tx: tx.add_audit(at + DAY, "alice", "looked at", lived.box, "the neighbour's"))
    files = opened(store, now_ms=at + 2 * DAY)
    everything = b"".join(files.values())
    assert b"neighbour-7" not in everything
    assert other.box.encode() not in everything
    tables = records(files)
    assert {row["seq"] for row in tables["chain"]} == {1, 2, 3, 4, 5, 6}
    assert [set(row) for row in tables["boxes"]] == [{"box", "serial"}]
    assert "looked at" not in {row["what"] for row in tables["audit"]}
    assert "box moved" in {row["what"] for row in tables["audit"]}
    assert "(een ander account)" in {row["account"] for row in tables["bindings"]}
    theirs = records(opened(store, "neighbour-7", at + 2 * DAY))
    assert b"acc-1" not in json.dumps(theirs).encode()
    assert {row["seq"] for row in theirs["chain"] if row["box"] == lived.box} == {7, 8}


def test_the_same_moment_gives_the_same_bytes(lived):
    first, second = (archive(lived.store, "acc-1", Extras("alice", LATER_MS)).payload for _ in range(2))
    with zipfile.ZipFile(io.BytesIO(first)) as a, zipfile.ZipFile(io.BytesIO(second)) as b:
        assert a.namelist() == b.namelist() == sorted(a.namelist())
        same = {name for name in a.namelist() if a.read(name) == b.read(name)}
        assert set(a.namelist()) - same == {"index.html", "records.json"}, "asking is in the audit"
        assert {entry.date_time for entry in a.infolist()} == {(2026, 11, 4, 1, 0, 0)}


# --- the page


def test_the_page_is_self_contained_and_runs_nothing(lived):
    page = opened(lived.store)["index.html"].decode()
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    assert "default-src 'none'" in page
    assert "&lt;script&gt;alert" in page, "a title is a text"
    links = set(re.findall(r'href="([^"#][^"]*)"', page))
    assert links <= set(opened(lived.store))
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors == set(re.findall(r'<section id="([^"]+)"', page))


def test_the_page_tells_everything_in_dutch(lived):
    page = opened(lived.store)["index.html"].decode()
    for words in (
        'lang="nl"',
        TITLE,
        "7 oktober 2026, 22:00",
        "€ 2,99",
        "actie \u2212€ 2,00",
        "gekocht",
        "in rekening gebracht",
        "wacht op een beslissing",
        "andere prijs dan aangeboden",
        "pincode ingevoerd, directe levering gevraagd, bevestiging getoond",
        "CRN-2026-000001",
        "corrigeert INV-2026-000001",
        "afronding \u2212€ 0,01",
        "bezwaar 1",
        "we were away",
        "twee berichten op één plaats",
        "2026-W45",
        "dit archief gemaakt",
        "92 dagen",
        "10 jaar",
        "Autoriteit Persoonsgegevens",
        "adverteerders",
    ):
        assert words in page, words


def test_after_an_erasure_the_page_shows_the_kind_and_that_the_evidence_is_gone(lived):
    lived.store.write(lambda tx: erase(tx, "acc-1", "alice", LATER_MS, give_up_bought=True))
    files = opened(lived.store)
    page = files["index.html"].decode()
    assert TITLE not in page
    assert "niet meer bewaard" in page
    assert "titels op verzoek gewist" in page
    kept = [name for name in files if name.startswith("envelopes/")]
    assert kept == [f"envelopes/{lived.box}/1/6.json"], "what waits for a decision stays"


def test_what_was_given_back_is_not_said_to_be_bought(lived):
    ref = {f"{lived.box}/1/3": 1299}
    lived.store.write(lambda tx: corrections.credit(tx, "INV-2026-000001", ref, "correction", LATER_MS))
    page = opened(lived.store)["index.html"].decode()
    assert "<small>gekocht</small>" not in page
    assert "<small>gecorrigeerd</small>" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_words_what_there_is(language):
    words = words_of(language)
    register = declared("billing")
    assert set(OrderState) <= set(words.states)
    assert set(Reason) - {Reason.NONE} <= set(words.reasons)
    assert set(DisputeState) <= set(words.disputes)
    assert set(words.tables) == set(TABLES)
    for table in TABLES:
        entry = register[table]
        assert entry.retention in words.kept, table
        assert entry.basis in words.basis, table
        assert set(entry.recipients) <= set(words.recipients), table


@pytest.mark.parametrize(("language", "told"), [("fr", "Ce que nous gardons"), ("en", "What we keep about")])
def test_the_page_is_in_the_accounts_language(tmp_path, language, told):
    store = billing_store(tmp_path)
    store.write(lambda tx: tx.add_account(account("other", language=language, country="BE")))
    page = opened(store, "other")["index.html"].decode()
    assert told in page
    assert f'lang="{language}"' in page
    assert "183" in page
    store.close()


def test_an_account_without_anything_gets_its_archive_too(tmp_path):
    store = billing_store(tmp_path)
    files = opened(store, now_ms=to_ms(datetime(2026, 12, 1, tzinfo=UTC)))
    assert set(files) == {"index.html", "records.json"}
    store.close()


def test_the_command_writes_the_file(tmp_path):
    made = Installation.create(tmp_path / "a", SETTINGS)
    store = open_store(made.place("billing"))
    store.write(lambda tx: tx.add_account(account()))
    box = SigningBox(store).enrolled()
    box.submit(box.order())
    store.close()
    target = tmp_path / "acc-1.zip"
    done = CliRunner().invoke(account_archive, [str(tmp_path / "a"), "acc-1", str(target)])
    assert done.exit_code == 0, done.output
    assert target.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(target) as files:
        assert f"envelopes/{box.box}/1/1.json" in files.namelist()
