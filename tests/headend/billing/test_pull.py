import hashlib
import tarfile
from io import BytesIO

import msgspec
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask

from headend import disclosure
from headend.billing import checker, exports, heads, receivers
from headend.billing.documents.document import Seller
from headend.billing.invoices import raise_month
from headend.billing.pull import make_pull
from headend.billing.rows import NotFoundError
from headend.cli.export import key as key_command
from headend.disclosure import DisclosureError, Kind, Purpose, Recipient
from headend.kit.http import Tally
from shared.weeks import Month
from tests import engines
from tests.builders import DAY, NOW_MS

KEY = Ed25519PrivateKey.generate()
BASE = "/billing/export/v1/batches"
LATER = NOW_MS + 30 * DAY


@pytest.fixture
def tally():
    return Tally()


@pytest.fixture
def client(store, box, tally):
    """The pull interface over two batches, the second with a bill in it."""
    store.write(
        lambda tx: tx.add_seller(Seller("NL", "Example", "NL123456789B01", "Road 1", "1217 WE", "Town"), 0)
    )
    box.submit(box.order())
    store.write(lambda tx: exports.close_batch(tx, NOW_MS))
    raise_month(store, Month(2026, 10), LATER)
    store.write(lambda tx: exports.close_batch(tx, LATER))
    app = Flask(__name__)
    app.register_blueprint(make_pull(store, KEY, lambda: LATER + 1, tally))
    return app.test_client()


def make_key(store, name="erp", scopes=receivers.SCOPES, chance=b"\x01"):
    return store.write(lambda tx: receivers.create_key(tx, name, tuple(scopes), NOW_MS, lambda n: chance * n))


@pytest.fixture
def bearer(store):
    return {"Authorization": f"Bearer {make_key(store)}"}


def name_of(answer):
    assert answer.content_type == "application/problem+json"
    return answer.get_json()["type"].rsplit(":", 1)[1]


def audit(store, what):
    rows = store.storage.read().execute("SELECT who, ref, detail FROM audit WHERE what = ?", (what,))
    return [tuple(row) for row in rows]


# --- what can be had
def test_a_receiver_sees_every_batch_its_hash_and_whether_it_acknowledged_it(client, store, bearer):
    answer = client.get(BASE, headers=bearer).get_json()
    first, second = answer["batches"]
    assert answer["formats"] == ["csv", "jsonl", "ubl"]
    assert (first["batch"], first["first_entry"], first["last_entry"]) == (1, 1, 1)
    assert second["sha256"] == store.read().batch(2).hash
    assert first["acknowledged_ms"] is None


def test_what_is_pulled_holds_with_the_public_key_alone(client, bearer, tmp_path):
    for number in (1, 2):
        name = heads.name_of(number)
        (tmp_path / f"{name}.sig.json").write_bytes(client.get(f"{BASE}/{number}", headers=bearer).data)
        lines = client.get(f"{BASE}/{number}/jsonl", headers=bearer)
        assert lines.headers["Content-Disposition"] == f"attachment; filename={name}.jsonl"
        (tmp_path / f"{name}.jsonl").write_bytes(lines.data)
    found, _ = checker.check_folder(tmp_path, KEY.public_key(), checker.Taken())
    assert [one.verdict.value for one in found] == ["ok", "ok"]


def test_every_format_is_streamed_as_it_would_be_written(client, store, bearer, tmp_path):
    from headend.billing.formats.registry import formats

    forms = formats().values()
    list(exports.write_batch(store.read(), 2, KEY, tmp_path, forms))
    for form in forms:
        answer = client.get(f"{BASE}/2/{form.name}", headers=bearer)
        assert answer.content_type == form.content_type
        assert answer.is_streamed
        assert answer.data == (tmp_path / f"BILL-00000002{form.suffix}").read_bytes()
    with tarfile.open(fileobj=BytesIO(answer.data)) as archive:
        assert archive.getnames() == ["INV-2026-000001.xml"]


def test_what_a_receiver_has_already_is_not_sent_again(client, store, bearer):
    answer = client.get(f"{BASE}/1/csv", headers=bearer)
    assert answer.get_etag() == (f"{store.read().batch(1).hash}-csv", False)
    again = client.get(f"{BASE}/1/csv", headers={**bearer, "If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get(f"{BASE}/1/jsonl", headers={**bearer, "If-None-Match": answer.headers["ETag"]})
    assert other.status_code == 200
    assert len(audit(store, "export downloaded")) == 2


def test_every_download_is_audited_under_the_keys_name(client, store, bearer):
    client.get(f"{BASE}/1", headers=bearer)
    client.get(f"{BASE}/2/ubl", headers=bearer)
    assert audit(store, "export downloaded") == [
        ("key erp", "1", "head to billing system"),
        ("key erp", "2", "ubl to billing system"),
    ]


# --- acknowledging
def put(client, bearer, number, sha256, **more):
    return client.put(f"{BASE}/{number}/acknowledgement", headers=bearer, json={"sha256": sha256, **more})


def test_an_acknowledgement_is_recorded_once_and_said_again_gets_the_same_answer(client, store, bearer):
    digest = hashlib.sha256(client.get(f"{BASE}/1/jsonl", headers=bearer).data).hexdigest()
    first, again = (put(client, bearer, 1, digest) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert (
        first.get_json() == again.get_json() == {"batch": 1, "sha256": digest, "acknowledged_ms": LATER + 1}
    )
    assert audit(store, "export acknowledged") == [("key erp", "1", digest)]
    listed = client.get(BASE, headers=bearer).get_json()["batches"]
    assert [one["acknowledged_ms"] for one in listed] == [LATER + 1, None]


def test_one_receivers_acknowledgement_is_not_anothers(client, store, bearer):
    put(client, bearer, 1, store.read().batch(1).hash)
    other = {"Authorization": f"Bearer {make_key(store, 'other', chance=b'2')}"}
    assert client.get(BASE, headers=other).get_json()["batches"][0]["acknowledged_ms"] is None


def test_an_acknowledgement_of_another_hash_is_refused_counted_and_records_nothing(
    client, store, bearer, tally
):
    answer = put(client, bearer, 1, "0" * 64)
    assert (answer.status_code, name_of(answer)) == (409, "wrong-hash")
    assert tally.snapshot() == {"wrong-hash": 1}
    assert store.read().acknowledgements(1) == []


@pytest.mark.parametrize("body", [b"{}", b'{"sha256":"x"}', b'{"sha256":1}', b"\xff", b"[" * 900])
def test_an_acknowledgement_that_is_none_is_refused(client, store, bearer, body):
    answer = client.put(
        f"{BASE}/1/acknowledgement", headers=bearer, data=body, content_type="application/json"
    )
    assert name_of(answer) == "malformed"
    assert store.read().acknowledgements(1) == []


def test_an_acknowledgement_that_is_too_large_or_of_another_type_is_refused(client, bearer):
    large = put(client, bearer, 1, "0" * 64, more="x" * 2000)
    assert name_of(large) == "too-large"
    text = client.put(f"{BASE}/1/acknowledgement", headers=bearer, data=b"{}", content_type="text/plain")
    assert name_of(text) == "wrong-content-type"


# --- who may
ADDRESSES = [
    ("get", BASE),
    ("get", f"{BASE}/1"),
    ("get", f"{BASE}/1/csv"),
    ("put", f"{BASE}/1/acknowledgement"),
]


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
@pytest.mark.parametrize("sent", [None, "Bearer stbx_wrong", "Bearer ", "Basic x"])
def test_without_a_key_nothing_is_told(client, store, bearer, tally, method, address, sent):
    headers = {} if sent is None else {"Authorization": sent}
    answer = getattr(client, method)(address, headers=headers)
    assert (answer.status_code, name_of(answer)) == (401, "unknown-key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert tally.snapshot() == {"unknown-key": 1}
    assert audit(store, "export downloaded") == []


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_a_key_that_was_revoked_opens_nothing(client, store, bearer, method, address):
    store.write(lambda tx: receivers.revoke_key(tx, "erp", NOW_MS))
    assert name_of(getattr(client, method)(address, headers=bearer)) == "unknown-key"


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_a_key_reaches_no_further_than_its_scope(client, store, method, address):
    scope = receivers.ACKNOWLEDGE if method == "get" else receivers.READ
    bearer = {"Authorization": f"Bearer {make_key(store, scopes=[scope])}"}
    answer = getattr(client, method)(address, headers=bearer)
    assert (answer.status_code, name_of(answer)) == (403, "out-of-scope")


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_what_the_disclosure_table_no_longer_allows_does_not_leave(
    client, store, bearer, monkeypatch, method, address
):
    kept = disclosure.TABLE - {(Kind.EXPORT_BATCH, Recipient.BILLING_SYSTEM, Purpose.BILLING)}
    monkeypatch.setattr(disclosure, "TABLE", kept)
    sent = {"json": {"sha256": store.read().batch(1).hash}} if method == "put" else {}
    assert name_of(getattr(client, method)(address, headers=bearer, **sent)) == "out-of-scope"


def test_bills_leave_as_invoices_and_not_as_export_batches(client, bearer, monkeypatch):
    kept = disclosure.TABLE - {(Kind.INVOICE, Recipient.BILLING_SYSTEM, Purpose.BILLING)}
    monkeypatch.setattr(disclosure, "TABLE", kept)
    assert name_of(client.get(f"{BASE}/2/ubl", headers=bearer)) == "out-of-scope"
    assert client.get(f"{BASE}/2/csv", headers=bearer).status_code == 200


# --- what there is not
@pytest.mark.parametrize("address", ["3", "3/csv", "99999999/jsonl"])
def test_a_batch_that_was_never_closed_is_told(client, bearer, address):
    answer = client.get(f"{BASE}/{address}", headers=bearer)
    assert (answer.status_code, name_of(answer)) == (404, "no-such-batch")


@pytest.mark.parametrize("address", ["0", "-1", "x", "1" * 30, "1.5/csv"])
def test_what_is_no_batch_number_is_no_address(client, bearer, address):
    assert client.get(f"{BASE}/{address}", headers=bearer).status_code == 404


@pytest.mark.parametrize("name", ["xml", "registry", "..", "acknowledgement"])
def test_a_format_that_there_is_not_is_told(client, bearer, name):
    assert client.get(f"{BASE}/1/{name}", headers=bearer).status_code == 404


def change(store, statement):
    with engines.raw(engines.where(store)) as connection:
        engines.unguard(connection, "entries")
        connection.execute(statement)


@pytest.mark.parametrize("form", ["jsonl", "csv", "ubl"])
def test_a_batch_that_was_emptied_is_said_to_be_gone(client, store, bearer, form):
    change(store, "UPDATE entries SET account = '', ref = '', text = '', proof = '' WHERE entry = 2")
    answer = client.get(f"{BASE}/2/{form}", headers=bearer)
    assert (answer.status_code, name_of(answer)) == (410, "batch-changed")
    assert audit(store, "export downloaded") == []


def test_bills_that_nobody_is_set_to_raise_are_refused_and_not_cut_short(store, box, tally):
    box.submit(box.order())
    raise_month(store, Month(2026, 10), LATER)
    store.write(lambda tx: exports.close_batch(tx, LATER))
    app = Flask(__name__)
    app.register_blueprint(make_pull(store, KEY, lambda: LATER, tally))
    bearer = {"Authorization": f"Bearer {make_key(store)}"}
    answer = app.test_client().get(f"{BASE}/1/ubl", headers=bearer)
    assert (answer.status_code, name_of(answer)) == (409, "unwritable-batch")


def test_the_interface_may_be_nested_in_billings_own_blueprint(store, tally):
    from flask import Blueprint

    whole = Blueprint("billing", __name__, url_prefix="/billing")
    whole.register_blueprint(make_pull(store, KEY, lambda: LATER, tally), url_prefix="/export/v1")
    app = Flask(__name__)
    app.register_blueprint(whole)
    bearer = {"Authorization": f"Bearer {make_key(store)}"}
    assert app.test_client().get(BASE, headers=bearer).status_code == 200
    assert name_of(app.test_client().get(BASE)) == "unknown-key"


# --- keys
def test_a_key_is_told_once_and_only_its_hash_is_stored(store):
    key = make_key(store)
    assert key == "stbx_" + "AQEB" * 10 + "AQE"
    (stored,) = store.read().export_keys()
    assert stored.key_hash == receivers.key_hash(key)
    assert key.removeprefix("stbx_") not in engines.dump(engines.where(store))
    assert audit(store, "export key created") == [("command line", "erp", "billing system: read acknowledge")]


def test_no_key_is_made_where_the_table_allows_no_export(store, monkeypatch):
    monkeypatch.setattr(disclosure, "TABLE", frozenset())
    with pytest.raises(DisclosureError):
        make_key(store)
    assert list(store.read().export_keys()) == []


def test_a_key_that_somebody_gave_another_recipient_in_the_database_opens_nothing(client, store, bearer):
    store.storage.write(lambda db: db.execute("UPDATE export_keys SET recipient = 'advertiser'"))
    for address in ("", "/1", "/1/csv"):
        assert name_of(client.get(f"{BASE}{address}", headers=bearer)) == "out-of-scope"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "x" * 65},
        {"name": "a\n"},
        {"scopes": ()},
        {"scopes": ("write",)},
    ],
    ids=str,
)
def test_a_key_that_cannot_be_made_as_asked_is_refused(store, wrong):
    with pytest.raises(receivers.BadKeyError):
        make_key(store, **wrong)
    assert list(store.read().export_keys()) == []


def test_a_name_is_never_given_again_even_after_its_key_was_revoked(store):
    make_key(store)
    store.write(lambda tx: receivers.revoke_key(tx, "erp", NOW_MS))
    with pytest.raises(receivers.BadKeyError):
        make_key(store, chance=b"2")
    with pytest.raises(NotFoundError):
        store.write(lambda tx: receivers.revoke_key(tx, "erp", NOW_MS))
    assert audit(store, "export key revoked") == [("command line", "erp", "")]


def test_the_commands_make_list_and_revoke_keys_without_showing_them(tmp_path):
    from headend.__main__ import main

    folder = str(tmp_path / "installation")
    run = CliRunner().invoke
    assert run(main, ["init", folder]).exit_code == 0
    made = run(key_command, ["create", folder, "erp", "--scope", "read"])
    assert made.output.startswith("stbx_")
    listed = run(key_command, ["list", folder, "--json"])
    (key,) = msgspec.json.decode(listed.output)
    assert (key["name"], key["scopes"], key["revoked_ms"]) == ("erp", "read", None)
    assert "key_hash" not in key
    assert run(key_command, ["revoke", folder, "erp"]).exit_code == 0
    assert run(key_command, ["revoke", folder, "erp"]).exit_code == 1
    refused = run(key_command, ["create", folder, "x", "--scope", "read", "--recipient", "advertiser"])
    assert refused.exit_code == 2, "there is no such word"
