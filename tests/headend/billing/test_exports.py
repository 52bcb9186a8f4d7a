import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.billing import checker, exports
from headend.billing.invoices import raise_month
from headend.billing.merkle import leaf_hash, root_of
from shared.weeks import Month
from tests.builders import DAY, NOW_MS

KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def batches(store, box, tmp_path):
    """Two closed batches in a folder: orders, then their bill."""
    folder = tmp_path / "export"
    folder.mkdir()
    for number in range(4):
        at = NOW_MS + number * 3 * DAY
        box.submit(box.order(at_ms=at), now_ms=at)
    write(store, folder, store.write(lambda tx: exports.close_batch(tx, NOW_MS)).batch)
    raise_month(store, Month(2026, 10), NOW_MS + 30 * DAY)
    write(store, folder, store.write(lambda tx: exports.close_batch(tx, NOW_MS + 30 * DAY)).batch)
    return folder


def write(store, folder, number):
    for name, content in exports.render(store.read(), number, KEY).all():
        (folder / name).write_bytes(content)


def verdicts(folder, key=KEY):
    return [one.verdict.value for one in checker.check_folder(folder, key.public_key())]


def test_batches_hold_with_the_public_key_alone(batches):
    assert verdicts(batches) == ["ok", "ok"]


def test_a_batch_renders_the_same_bytes_again(store, batches):
    again = exports.render(store.read(), 1, KEY)
    assert all((batches / name).read_bytes() == content for name, content in again.all())


def test_every_entry_is_in_exactly_one_batch(store, batches):
    numbers = [
        row["entry"]
        for path in sorted(batches.glob("*.jsonl"))
        for row in map(msgspec.json.decode, path.read_bytes().splitlines())
        if row["row"] == "entry"
    ]
    assert numbers == list(range(1, store.read().last_entry()[0] + 1))


def test_closing_nothing_is_refused(store, batches):
    with pytest.raises(exports.NothingToCloseError):
        store.write(lambda tx: exports.close_batch(tx, NOW_MS))


def test_a_batch_that_was_never_closed_cannot_be_rendered(store):
    with pytest.raises(exports.NoSuchBatchError):
        exports.render(store.read(), 1, KEY)


def test_a_missing_batch_is_a_gap(batches):
    (batches / "BILL-00000001.jsonl").unlink()
    assert verdicts(batches) == ["gap"]


def test_another_key_is_told(batches):
    assert verdicts(batches, Ed25519PrivateKey.generate()) == ["signature", "signature"]


def test_a_changed_byte_is_told(batches):
    path = batches / "BILL-00000002.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"acc-1"', b'"acc-2"', 1))
    assert verdicts(batches) == ["ok", "signature"]


def test_a_batch_that_comes_twice_is_a_duplicate_and_one_with_other_bytes_a_conflict(batches):
    taken, seen = checker.Taken(), {}
    path = batches / "BILL-00000001.jsonl"
    checker.check_batch(path, KEY.public_key(), taken, seen)
    with pytest.raises(checker.BatchError) as again:
        checker.check_batch(path, KEY.public_key(), taken, seen)
    assert again.value.verdict is checker.Verdict.DUPLICATE
    with pytest.raises(checker.BatchError) as other:
        checker.check_batch(path, KEY.public_key(), taken, {1: "00"})
    assert other.value.verdict is checker.Verdict.CONFLICT


def resign(batches, number, change):
    """Rewrite a batch as somebody with the signing key could, to see what else is checked."""
    import hashlib

    from shared import dsse

    path = batches / f"BILL-{number:08}.jsonl"
    rows = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    change(rows)
    raw = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    path.write_bytes(raw)
    signature = path.with_name(f"BILL-{number:08}.sig.json")
    statement = msgspec.json.decode(
        dsse.verify(signature.read_bytes(), dsse.PayloadType.EXPORT, KEY.public_key())
    )
    statement["jsonl_sha256"] = hashlib.sha256(raw).hexdigest()
    signature.write_bytes(dsse.sign(msgspec.json.encode(statement), dsse.PayloadType.EXPORT, KEY, "k"))


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda rows: rows[-1]["totals"].update(unbilled=1), "totals"),
        (lambda rows: rows[-1].update(count=9), "totals"),
        (lambda rows: rows[1]["postings"][0].__setitem__(1, 1), "chain"),
        (lambda rows: rows.pop(2), "gap"),
        (lambda rows: rows[0].update(prev_hash="1" * 64), "chain"),
        (lambda rows: rows[-1].update(root="00"), "chain"),
    ],
    ids=["wrong total", "wrong count", "changed posting", "missing row", "other predecessor", "other root"],
)
def test_even_the_signer_cannot_change_what_is_chained(batches, change, verdict):
    resign(batches, 1, change)
    assert verdicts(batches)[0] == verdict


def test_a_changed_csv_is_told(batches):
    path = batches / "BILL-00000001.csv"
    path.write_bytes(path.read_bytes() + b"x")
    assert verdicts(batches)[0] == "signature"


def test_a_text_that_a_spreadsheet_would_take_for_a_formula_is_made_harmless():
    assert exports._harmless("=1+1") == "'=1+1"


def test_the_merkle_root_is_that_of_rfc_6962():
    leaves = [leaf_hash(bytes([n])) for n in range(3)]
    import hashlib

    pair = hashlib.sha256(b"\x01" + leaves[0] + leaves[1]).digest()
    assert root_of(leaves) == hashlib.sha256(b"\x01" + pair + leaves[2]).digest()
    assert root_of([]) == hashlib.sha256(b"").digest()


def test_no_title_and_no_offer_stands_in_an_export_or_in_the_books(store, batches):
    for path in batches.iterdir():
        assert b"Particular" not in path.read_bytes()
        assert b"film-1" not in path.read_bytes()
    for table in ("entries", "invoice_lines", "invoices", "orders"):
        for row in store.storage.read().execute(f"SELECT * FROM {table}"):
            assert "Particular" not in str(tuple(row))
            assert "film-1" not in str(tuple(row))
