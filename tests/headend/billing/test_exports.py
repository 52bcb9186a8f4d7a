import csv
import hashlib
import io
import tarfile
import tracemalloc
from collections import Counter

import msgspec
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from headend import disclosure
from headend.billing import checker, exports, heads, ledger, merkle
from headend.billing.documents.document import Seller
from headend.billing.documents.gather import NoSellerError, gather
from headend.billing.formats import jsonl, registry
from headend.billing.formats import ubl as ubl_format
from headend.billing.formats.csv import COLUMNS, harmless
from headend.billing.formats.registry import (
    BadFormatError,
    BatchChangedError,
    NoSuchFormatError,
    format_named,
    formats,
)
from headend.billing.invoices import raise_month
from headend.billing.rows import Entry
from headend.cli.export import export
from headend.disclosure import DisclosureError
from shared import dsse
from shared.weeks import Month
from tests import engines
from tests.builders import DAY, NOW_MS, SigningBox, account, billing_store

KEY = Ed25519PrivateKey.generate()
KEY_ID = dsse.key_id(KEY.public_key())
SELLER = Seller("NL", "Example Television B.V.", "NL123456789B01", "Mediapark 1", "1217 WE", "Hilversum")
ALL = (".csv", ".files.json", ".jsonl", ".sig.json", ".ubl.tar")


@pytest.fixture
def billed(store, box):
    """Two closed batches: orders, then their bill and a credit note."""
    store.write(lambda tx: tx.add_seller(SELLER, 0))
    for number in range(4):
        at = NOW_MS + number * 3 * DAY
        box.submit(box.order(at_ms=at), now_ms=at)
    store.write(lambda tx: exports.close_batch(tx, NOW_MS))
    after = NOW_MS + 30 * DAY
    raise_month(store, Month(2026, 10), after)
    box.submit(box.delivery(1, "failed", at_ms=after), now_ms=after)
    store.write(lambda tx: exports.close_batch(tx, after))
    return store


@pytest.fixture
def batches(billed, tmp_path):
    """Both batches, written in every format."""
    folder = tmp_path / "export"
    folder.mkdir()
    for number in (1, 2):
        write(billed, folder, number)
    return folder


def write(store, folder, number, *names):
    forms = [format_named(name) for name in names] or list(formats().values())
    return list(exports.write_batch(store.read(), number, KEY, folder, forms))


def check(folder, key=KEY, taken=None):
    return checker.check_folder(folder, key.public_key(), taken or checker.Taken())


def verdicts(folder, key=KEY, taken=None):
    found, _ = check(folder, key, taken)
    return [one.verdict.value for one in found]


def rows_of(path):
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


# --- closing and rendering
def test_batches_hold_with_the_public_key_alone(batches):
    assert verdicts(batches) == ["ok", "ok"]


def test_a_batch_is_written_in_every_format_with_its_head_and_the_list_of_its_files(batches):
    assert sorted(path.name for path in batches.iterdir()) == [
        f"BILL-0000000{number}{suffix}" for number in (1, 2) for suffix in ALL
    ]


def test_a_batch_is_written_in_the_same_bytes_again(billed, batches, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    for number in (1, 2):
        write(billed, again, number)
    assert all((again / path.name).read_bytes() == path.read_bytes() for path in batches.iterdir())


def test_every_entry_is_in_exactly_one_batch(billed, batches):
    numbers = [
        row["entry"]
        for path in sorted(batches.glob("*.jsonl"))
        for row in rows_of(path)
        if row["row"] == "entry"
    ]
    assert numbers == list(range(1, billed.read().last_entry()[0] + 1))


def test_a_row_is_an_entry_as_it_stands_in_the_books(billed, batches):
    entry = next(billed.read().entries(1, 1))
    row = rows_of(batches / "BILL-00000001.jsonl")[1]
    assert row == {"row": "entry", **structs.asdict(entry)}
    assert list(row) == ["row", *Entry.__struct_fields__]


def test_the_batches_totals_are_the_ledgers(billed, batches):
    sums = Counter()
    for path in batches.glob("*.jsonl"):
        sums.update(rows_of(path)[-1]["totals"])
    assert dict(sums) == billed.read().ledger_totals(1, None)
    assert sums["unbilled"] == 0
    assert sums["receivable"] == 3 * 499


def test_the_next_batch_names_the_hash_of_the_one_before(batches):
    first = (batches / "BILL-00000001.jsonl").read_bytes()
    assert rows_of(batches / "BILL-00000002.jsonl")[0]["prev_hash"] == hashlib.sha256(first).hexdigest()


def test_the_head_is_made_of_the_stored_row_and_commits_to_the_lines(billed, batches):
    head = heads.read_head((batches / "BILL-00000002.sig.json").read_bytes(), KEY.public_key())
    batch = billed.read().batch(2)
    lines = (batches / "BILL-00000002.jsonl").read_bytes()
    assert head.jsonl_sha256 == batch.hash == hashlib.sha256(lines).hexdigest()
    assert (head.root, head.prev_hash) == (batch.root, batch.prev_hash)
    assert exports.signed_head(batch, KEY) == (batches / "BILL-00000002.sig.json").read_bytes()


def test_a_list_of_files_is_not_taken_for_a_head(batches):
    with pytest.raises(heads.UnreadableHeadError):
        heads.read_head((batches / "BILL-00000001.files.json").read_bytes(), KEY.public_key())


def test_closing_nothing_is_refused(billed):
    with pytest.raises(exports.NothingToCloseError):
        billed.write(lambda tx: exports.close_batch(tx, NOW_MS))


def test_a_batch_that_was_never_closed_cannot_be_written(store, tmp_path):
    with pytest.raises(exports.NoSuchBatchError):
        write(store, tmp_path, 1)


def test_what_is_missing_stands_in_the_trailer_with_the_time_since_it_is_known(store, box, tmp_path):
    box.submit(box.order())
    store.write(lambda tx: tx.tell(box.box, 1, 4, NOW_MS + 5))
    store.write(lambda tx: tx.tell(box.box, 1, 5, NOW_MS + 9))
    store.write(lambda tx: exports.close_batch(tx, NOW_MS + 10))
    write(store, tmp_path, 1, "jsonl")
    assert rows_of(tmp_path / "BILL-00000001.jsonl")[-1]["missing"] == [
        {"box": box.box, "epoch": 1, "from": 2, "to": 5, "since_ms": NOW_MS + 5}
    ]
    assert verdicts(tmp_path) == ["ok"]


@pytest.mark.parametrize("name", ["jsonl", "csv", "ubl"])
def test_what_the_disclosure_table_no_longer_allows_is_not_written(billed, tmp_path, name, monkeypatch):
    monkeypatch.setattr(disclosure, "TABLE", frozenset())
    with pytest.raises(DisclosureError):
        write(billed, tmp_path, 2, name)
    assert list(tmp_path.glob("BILL*")) == []


def test_no_title_and_no_offer_stands_in_an_export_or_in_the_books(billed, batches):
    for path in batches.iterdir():
        assert b"Particular" not in path.read_bytes()
        assert b"film-1" not in path.read_bytes()
    for table in ("entries", "invoice_lines", "invoices", "orders"):
        for row in billed.storage.read().execute(f"SELECT * FROM {table}"):
            assert "Particular" not in str(tuple(row))
            assert "film-1" not in str(tuple(row))


# --- formats
def test_the_csv_has_a_line_an_entry_and_a_column_a_ledger_account(billed, batches):
    text = (batches / "BILL-00000002.csv").read_bytes().decode()
    first, *lines = csv.reader(io.StringIO(text, newline=""))
    assert tuple(first) == COLUMNS
    batch = billed.read().batch(2)
    assert [int(line[0]) for line in lines] == list(range(batch.first_entry, batch.last_entry + 1))
    assert all(sum(map(int, line[-6:])) == 0 for line in lines)
    assert text.endswith("\r\n")


def test_a_text_that_a_spreadsheet_would_take_for_a_formula_is_made_harmless():
    plain = structs.astuple(ledger.chained(draft(text="film"), 0, "0" * 64))
    for bad in ("=1+1", "+1", "-1", "@x", "\tx", "\rx"):
        row = structs.astuple(ledger.chained(draft(text=bad), 0, "0" * 64))
        assert harmless([plain, row])[1][5] == "'" + bad
    assert harmless([plain]) == [plain]
    assert harmless([structs.astuple(ledger.chained(draft(account="=x"), 0, "0" * 64))])[0][2] == "'=x"


def test_figures_below_nothing_stay_figures_beside_a_text_that_was_made_harmless():
    row = structs.astuple(ledger.chained(draft(text="=x"), 0, "0" * 64))
    assert harmless([row])[0][11] == -499


def draft(**changes):
    values = {
        "kind": "usage",
        "account": "acc-1",
        "ref": "b/1/1",
        "month": "2026-10",
        "text": "film",
        "currency": "EUR",
        "vat_bp": 2100,
        "proof": "",
        "at_ms": NOW_MS,
        "amounts": ledger.usage(499),
    }
    return ledger.Draft(**{**values, **changes})


def test_the_ubl_archive_holds_the_batchs_documents_in_the_order_of_their_entries(batches):
    with tarfile.open(batches / "BILL-00000002.ubl.tar") as archive:
        assert archive.getnames() == ["INV-2026-000001.xml", "CRN-2026-000001.xml"]
        assert b"<Invoice " in archive.extractfile("INV-2026-000001.xml").read()
        assert b"<CreditNote " in archive.extractfile("CRN-2026-000001.xml").read()
        assert {one.mtime for one in archive} == {0}


def test_a_batch_without_bills_has_an_empty_archive(batches):
    with tarfile.open(batches / "BILL-00000001.ubl.tar") as archive:
        assert archive.getnames() == []


def test_without_a_seller_there_is_no_ubl_and_nothing_is_left_half_written(store, box, tmp_path):
    box.submit(box.order())
    raise_month(store, Month(2026, 10), NOW_MS + 30 * DAY)
    store.write(lambda tx: exports.close_batch(tx, NOW_MS + 30 * DAY))
    with pytest.raises(NoSellerError):
        write(store, tmp_path, 1, "ubl")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".BILL", "BILL"))] == []


def test_a_document_has_titles_only_for_its_subscriber(billed):
    look = billed.read()
    invoice = look.invoice("INV-2026-000001")
    assert {line.text for line in gather(look, invoice, titles=True).lines} == {"A Very Particular Film"}
    assert {line.text for line in gather(look, invoice, titles=False).lines} == {"film"}
    assert gather(look, invoice, titles=False).payable == invoice.gross


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Puts a file among the formats, as somebody who adds one would."""
    import sys

    folder = tmp_path / "more-formats"
    folder.mkdir()
    monkeypatch.setattr(registry.package, "__path__", [*registry.package.__path__, str(folder)])

    def plant(name, text):
        (folder / f"{name}.py").write_text(text)
        formats.cache_clear()

    yield plant
    formats.cache_clear()
    for name in [name for name in sys.modules if name.startswith("headend.billing.formats.planted")]:
        del sys.modules[name]


COUNTED = """
from headend.billing.formats.jsonl import whole_rows
from headend.billing.formats.registry import Format

def render(tx, batch):
    for rows in whole_rows(tx, batch):
        yield str(len(rows)).encode()

FORMAT = Format("counted", ".txt", "text/plain", render)
"""


def test_a_format_is_added_by_adding_its_file(billed, tmp_path, planted):
    planted("planted_counted", COUNTED)
    assert list(formats()) == ["counted", "csv", "jsonl", "ubl"]
    folder = tmp_path / "export"
    folder.mkdir()
    write(billed, folder, 1)
    assert (folder / "BILL-00000001.txt").read_bytes() == b"4"
    assert verdicts(folder) == ["ok"]
    (folder / "BILL-00000001.txt").write_bytes(b"5")
    assert verdicts(folder) == ["signature"]


@pytest.mark.parametrize(
    "text", ["", 'FORMAT = "txt"', COUNTED.replace('"counted"', '"csv"'), COUNTED.replace(".txt", ".csv")]
)
def test_a_file_among_the_formats_that_is_none_or_takes_anothers_name_is_told(planted, text):
    planted("planted_bad", text)
    with pytest.raises(BadFormatError):
        formats()


def test_there_are_three_formats_and_no_other(store):
    assert list(formats()) == ["csv", "jsonl", "ubl"]
    with pytest.raises(NoSuchFormatError):
        format_named("registry")


# --- what has changed since it was closed
def tamper(store, *statements):
    """Change the books past their guards, as somebody with the file could."""
    with engines.raw(engines.where(store)) as connection:
        engines.unguard(connection)
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("name", ["jsonl", "csv", "ubl"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET text = 'game' WHERE entry = 6",
        "UPDATE entries SET account = 'acc-2' WHERE entry = 5",
        "UPDATE entries SET account = '', ref = '', text = '', proof = '' WHERE entry >= 5",
        "DELETE FROM entries WHERE entry = 6",
        'UPDATE batches SET missing = \'[{"box":"b","epoch":1,"from":1,"to":2,"since_ms":1}]\'',
    ],
    ids=["text", "account", "emptied", "deleted", "missing"],
)
def test_a_batch_that_changed_after_it_was_closed_is_written_in_no_format(billed, tmp_path, name, statement):
    tamper(billed, statement)
    folder = tmp_path / "export"
    folder.mkdir()
    with pytest.raises(BatchChangedError):
        write(billed, folder, 2, name)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE invoices SET gross = gross + 1, net = net + 1 WHERE kind = 'invoice'",
        "UPDATE invoices SET month = '2026-09'",
        "UPDATE entries SET ref = 'INV-2026-000009' WHERE kind = 'invoice'",
    ],
)
def test_a_document_that_is_not_what_its_entry_says_is_not_written(billed, tmp_path, statement):
    tamper(billed, statement)
    with pytest.raises(BatchChangedError):
        write(billed, tmp_path, 2, "ubl")


def test_the_first_entry_is_looked_at_before_anything_is_given(billed):
    tamper(billed, "UPDATE entries SET text = '' WHERE entry = 5")
    look = billed.read()
    for form in formats().values():
        pieces = form.render(look, look.batch(2))
        with pytest.raises(BatchChangedError):
            next(pieces)


# --- the receiver's check
def test_a_missing_batch_is_a_gap(batches):
    for path in batches.glob("BILL-00000001.*"):
        path.unlink()
    assert verdicts(batches) == ["gap"]


def test_another_key_is_told(batches):
    assert verdicts(batches, Ed25519PrivateKey.generate()) == ["signature", "signature"]


@pytest.mark.parametrize("suffix", ALL)
def test_a_changed_byte_anywhere_in_any_file_is_told(batches, suffix):
    path = batches / f"BILL-00000002{suffix}"
    good = path.read_bytes()
    step = max(1, len(good) // 60)
    for at in range(0, len(good), step):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        first, second = verdicts(batches)
        assert first == "ok"
        assert second in {"signature", "unreadable"}, f"byte {at} of {suffix}"
    path.write_bytes(good)
    assert verdicts(batches) == ["ok", "ok"]


@pytest.mark.parametrize("suffix", ALL)
def test_a_file_cut_short_or_with_something_after_it_is_told(batches, suffix):
    path = batches / f"BILL-00000001{suffix}"
    good = path.read_bytes()
    for bad in (good[:-1], good + b"\n", b""):
        path.write_bytes(bad)
        assert verdicts(batches)[0] in {"signature", "unreadable"}


@pytest.mark.parametrize("suffix", [".jsonl", ".sig.json"])
def test_a_batch_without_its_lines_or_its_head_cannot_be_read(batches, suffix):
    (batches / f"BILL-00000001{suffix}").unlink()
    assert verdicts(batches) == ["unreadable", "gap"]


def test_a_batch_holds_without_the_formats_that_its_receiver_did_not_keep(batches):
    for suffix in (".csv", ".ubl.tar"):
        (batches / f"BILL-00000001{suffix}").unlink()
    assert verdicts(batches) == ["ok", "ok"]


def test_a_file_that_is_on_no_signed_list_is_told(batches):
    (batches / "BILL-00000001.pdf").write_bytes(b"anything")
    assert verdicts(batches)[0] == "signature"


def test_another_batchs_list_vouches_for_nothing(batches):
    other = (batches / "BILL-00000002.files.json").read_bytes()
    (batches / "BILL-00000001.files.json").write_bytes(other)
    for suffix in (".csv", ".ubl.tar"):
        (batches / f"BILL-00000001{suffix}").unlink()
    assert verdicts(batches) == ["signature", "gap"]


def test_what_was_taken_is_a_duplicate_and_with_other_signed_bytes_a_conflict(batches):
    _, taken = check(batches)
    assert verdicts(batches, taken=taken) == ["duplicate", "duplicate"]
    resign(batches, 2, lambda rows: rows[-1].update(count=9))
    assert verdicts(batches, taken=taken) == ["duplicate", "conflict"]


def test_a_receiver_that_remembers_may_keep_only_new_batches(batches, tmp_path):
    later = [path.rename(tmp_path / path.name) for path in batches.glob("BILL-00000002.*")]
    _, taken = check(batches)
    remembered = tmp_path / "taken.json"
    checker.write_taken(remembered, taken)
    for path in [*batches.iterdir()]:
        path.unlink()
    for path in later:
        path.rename(batches / path.name)
    assert verdicts(batches) == ["gap"]
    assert verdicts(batches, taken=checker.read_taken(remembered)) == ["ok"]


def test_what_is_remembered_holds_nothing_of_what_did_not_hold(batches):
    _, whole = check(batches)
    (batches / "BILL-00000002.csv").write_bytes(b"x")
    _, taken = check(batches)
    assert (taken.batch, taken.hash) == (1, whole.seen[1])
    assert taken.seen == {1: whole.seen[1]}


def test_a_memory_that_cannot_be_read_is_refused_and_none_is_a_fresh_start(tmp_path):
    assert checker.read_taken(tmp_path / "none.json") == checker.Taken()
    (tmp_path / "bad.json").write_bytes(b'{"batch": "x"}')
    with pytest.raises(checker.BadTakenError):
        checker.read_taken(tmp_path / "bad.json")


def resign(batches, number, change, **head):
    """Rewrite a batch as somebody with the signing key could, to see what else is checked."""
    path = batches / f"BILL-{number:08}.jsonl"
    rows = rows_of(path)
    change(rows)
    raw = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    path.write_bytes(raw)
    signed = path.with_name(f"BILL-{number:08}.sig.json")
    before = heads.read_head(signed.read_bytes(), KEY.public_key())
    after = structs.replace(before, jsonl_sha256=hashlib.sha256(raw).hexdigest(), **head)
    signed.write_bytes(heads.sign(after, KEY))


def rehash(rows, at, **changes):
    """Change an entry and chain it and all that follow anew."""
    rows[at].update(changes)
    for place in range(at, len(rows) - 1):
        values = {name: value for name, value in rows[place].items() if name != "row"}
        if place > at:
            values["prev_hash"] = rows[place - 1]["hash"]
        rows[place].update(values, hash=ledger.entry_hash(Entry(**{**values, "hash": ""})))


CHANGES = {
    "wrong total": (lambda rows: rows[-1]["totals"].update(unbilled=1), "totals"),
    "wrong count": (lambda rows: rows[-1].update(count=9), "totals"),
    "unbalanced entry": (lambda rows: rehash(rows, 1, unbilled=1), "totals"),
    "changed amounts": (lambda rows: rows[1].update(unbilled=1, usage=-1), "chain"),
    "changed text": (lambda rows: rows[1].update(text="game"), "chain"),
    "chained anew with another text": (lambda rows: rehash(rows, 1, text="game"), "chain"),
    "other predecessor": (lambda rows: rows[0].update(prev_hash="1" * 64), "chain"),
    "other moment": (lambda rows: rows[0].update(closed_ms=1), "chain"),
    "other root": (lambda rows: rows[-1].update(root="00"), "chain"),
    "missing row": (lambda rows: rows.pop(2), "gap"),
    "missing last row": (lambda rows: rows.pop(-2), "gap"),
    "row twice": (lambda rows: rows.insert(1, rows[1]), "gap"),
    "no trailer": (lambda rows: rows.pop(), "unreadable"),
    "no header": (lambda rows: rows.pop(0), "unreadable"),
    "row after the trailer": (lambda rows: rows.append(rows[1]), "unreadable"),
    "second header": (lambda rows: rows.insert(1, rows[0]), "unreadable"),
    "text for a number": (lambda rows: rows[1].update(unbilled="1"), "unreadable"),
    "unknown row": (lambda rows: rows.insert(1, {"row": "else"}), "unreadable"),
    "nothing at all": (lambda rows: rows.clear(), "unreadable"),
}


@pytest.mark.parametrize(("change", "verdict"), CHANGES.values(), ids=CHANGES)
def test_even_the_signer_cannot_change_what_is_chained(batches, change, verdict):
    resign(batches, 1, change)
    assert verdicts(batches)[0] == verdict


def test_an_entry_that_does_not_balance_is_told_even_where_everything_else_fits(batches):
    def change(rows):
        rehash(rows, 1, unbilled=500)
        rows[-1]["totals"]["unbilled"] += 1
        rows[-1]["root"] = root_over(rows).hex()

    rows = rows_of(batches / "BILL-00000001.jsonl")
    change(rows)
    resign(batches, 1, change, root=rows[-1]["root"])
    assert verdicts(batches)[0] == "totals"


def root_over(rows):
    return merkle.root_of(merkle.leaf_hash(bytes.fromhex(row["hash"])) for row in rows[1:-1])


def test_a_batch_that_follows_another_than_the_one_taken_is_told(batches):
    _, taken = check(batches)
    before = checker.Taken(
        1, taken.seen[1] and 4, "2" * 64, rows_of(batches / "BILL-00000001.jsonl")[-2]["hash"]
    )
    for path in batches.glob("BILL-00000001.*"):
        path.unlink()
    assert verdicts(batches, taken=before) == ["chain"]


def test_entries_that_do_not_follow_those_taken_before_are_told(batches):
    _, taken = check(batches)
    before = checker.Taken(1, 4, taken.seen[1], "3" * 64)
    for path in batches.glob("BILL-00000001.*"):
        path.unlink()
    assert verdicts(batches, taken=before) == ["chain"]


def test_a_head_of_another_format_cannot_be_read(batches):
    path = batches / "BILL-00000001.sig.json"
    future = b'{"format":"stb-telemetry billing export 2"}'
    other = dsse.sign(future, dsse.PayloadType.EXPORT, KEY, KEY_ID)
    path.write_bytes(other)
    assert verdicts(batches)[0] == "unreadable"


def test_lines_that_are_no_json_cannot_be_read_even_when_signed(batches):
    path, signed = batches / "BILL-00000001.jsonl", batches / "BILL-00000001.sig.json"
    raw = b"\xff\n"
    path.write_bytes(raw)
    before = heads.read_head(signed.read_bytes(), KEY.public_key())
    after = structs.replace(before, jsonl_sha256=hashlib.sha256(raw).hexdigest())
    signed.write_bytes(heads.sign(after, KEY))
    assert verdicts(batches)[0] == "unreadable"


def test_the_command_checks_a_folder_and_remembers_what_it_took(batches, tmp_path):
    key = dsse.public_to_text(KEY.public_key())
    arguments = ["verify", str(batches), "--key", key, "--taken", str(tmp_path / "taken.json"), "--json"]
    for expected in ("ok", "duplicate"):
        done = CliRunner().invoke(export, arguments)
        assert done.exit_code == 0
        assert {one["verdict"] for one in msgspec.json.decode(done.output)} == {expected}
    (batches / "BILL-00000001.jsonl").write_bytes(b"")
    assert CliRunner().invoke(export, arguments).exit_code == 1


def test_the_command_takes_an_empty_folder_for_no_proof(tmp_path):
    key = dsse.public_to_text(KEY.public_key())
    assert CliRunner().invoke(export, ["verify", str(tmp_path), "--key", key]).exit_code == 1


# --- size
def many_entries(store, count):
    def rows():
        number, last = 0, "0" * 64
        for at in range(count):
            entry = ledger.chained(draft(ref=f"b-{at:012x}/1/1", proof="a" * 129), number, last)
            number, last = entry.entry, entry.hash
            yield structs.astuple(entry)

    marks = ", ".join("?" * len(Entry.__struct_fields__))
    store.storage.write(lambda db: db.executemany(f"INSERT INTO entries VALUES ({marks})", rows()))


def test_a_large_batch_is_closed_rendered_and_checked_in_little_memory(tmp_path):
    store = billing_store(tmp_path)
    many_entries(store, 50_000)
    folder = tmp_path / "export"
    folder.mkdir()
    formats()
    tracemalloc.start()
    store.write(lambda tx: exports.close_batch(tx, NOW_MS))
    write(store, folder, 1)
    assert verdicts(folder) == ["ok"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    store.close()
    assert (folder / "BILL-00000001.jsonl").stat().st_size > 20_000_000
    assert peak < 5_000_000


def test_pieces_hold_many_rows_and_are_small(tmp_path):
    store = billing_store(tmp_path)
    many_entries(store, 1000)
    store.write(lambda tx: exports.close_batch(tx, NOW_MS))
    pieces = [len(piece) for piece in jsonl.render(store.read(), store.read().batch(1))]
    store.close()
    assert len(pieces) == 2 + 4
    assert max(pieces) < 300_000
    assert ubl_format.FORMAT.suffix == ".ubl.tar"


def test_two_boxes_orders_stand_in_one_batch(store, box, tmp_path):
    other = SigningBox(store).enrolled()
    box.submit(box.order())
    other.submit(other.order(at_ms=NOW_MS + 9 * DAY), now_ms=NOW_MS + 9 * DAY)
    store.write(lambda tx: exports.close_batch(tx, NOW_MS + 9 * DAY))
    write(store, tmp_path, 1, "jsonl", "csv")
    assert verdicts(tmp_path) == ["ok"]


def test_an_account_of_before_whose_id_xml_cannot_carry_keeps_no_batch_from_being_written(store, box):
    store.write(lambda tx: tx.add_account(account("acc\x0b7")))
    odd = SigningBox(store, account="acc\x0b7").enrolled()
    for one in (box, odd):
        one.submit(one.order())
    store.write(lambda tx: tx.add_seller(SELLER, 0))
    raise_month(store, Month(2026, 10), NOW_MS + 30 * DAY)
    batch = store.write(lambda tx: exports.close_batch(tx, NOW_MS + 31 * DAY))
    with tarfile.open(fileobj=io.BytesIO(b"".join(ubl_format.render(store.read(), batch)))) as archive:
        written = [archive.extractfile(name).read().decode() for name in archive.getnames()]
    assert len(written) == 2
    assert [text for text in written if "<cbc:RegistrationName>acc\ufffd7<" in text] != []
