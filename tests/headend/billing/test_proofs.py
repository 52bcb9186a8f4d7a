import subprocess
import sys

import msgspec
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from headend.billing import exports, heads, ledger, merkle, proofs, proving
from headend.billing.formats.registry import BatchChangedError
from headend.billing.proofs import Proof, check_proof
from headend.cli.export import proof as proof_command
from shared import dsse
from tests.builders import DAY, NOW_MS
from tests.headend.billing.test_exports import many_entries, tamper

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key()


@pytest.fixture
def ordered(store, box):
    """Five orders in one closed batch, and one that is in none yet."""
    for number in range(6):
        at = NOW_MS + number * 3 * DAY
        box.submit(box.order(at_ms=at), now_ms=at)
        if number == 4:
            store.write(lambda tx: exports.close_batch(tx, NOW_MS))
    return store


def ref(box, seq):
    return f"{box.box}/1/{seq}"


def prove(store, reference):
    return proving.prove(store.read(), reference, KEY)


@pytest.fixture
def proof(ordered, box):
    return prove(ordered, ref(box, 3))


# --- making and checking
def test_each_order_of_a_batch_is_proven_with_the_public_key_alone(ordered, box):
    for seq in range(1, 6):
        proven = check_proof(prove(ordered, ref(box, seq)), PUBLIC)
        assert (proven.ref, proven.cents, proven.currency) == (ref(box, seq), 499, "EUR")
        assert (proven.account, proven.month, proven.text) == ("acc-1", "2026-10", "film")
        assert (proven.batch, proven.entry) == (1, seq)
        assert not proven.envelope_compared
        assert not proven.title_compared


def test_with_the_envelope_it_is_proven_that_this_was_what_was_ordered(proof, box):
    assert check_proof(proof, PUBLIC, box.sent[2]).envelope_compared
    for other in (box.sent[1], box.sent[2] + b" ", b""):
        with pytest.raises(proofs.WrongEnvelopeError):
            check_proof(proof, PUBLIC, other)


def test_with_salt_and_offer_it_is_proven_which_title_it_was(ordered, proof, box):
    annex = ordered.read().annex(box.box, 1, 3)
    assert check_proof(proof, PUBLIC, title=(annex.salt, "film-1")).title_compared
    for salt, offer in ((annex.salt, "film-2"), ("00" * 16, "film-1"), ("no hex", "film-1")):
        with pytest.raises(proofs.WrongTitleError):
            check_proof(proof, PUBLIC, title=(salt, offer))


def test_a_proof_is_the_same_bytes_again_and_names_no_title(ordered, proof, box):
    assert prove(ordered, ref(box, 3)) == proof
    assert b"Particular" not in proof
    assert b"film-1" not in proof


def test_a_proof_outlives_the_title_and_the_envelope(ordered, proof, box):
    before = box.sent[2]
    ordered.write(lambda tx: (tx.forget_message(box.box, 1, 3), tx.forget_annex(box.box, 1, 3)))
    assert ordered.read().annex(box.box, 1, 3) is None
    assert check_proof(prove(ordered, ref(box, 3)), PUBLIC, before).envelope_compared


def test_an_order_that_is_in_no_batch_yet_cannot_be_proven(ordered, box):
    with pytest.raises(proving.NotClosedError):
        prove(ordered, ref(box, 6))


@pytest.mark.parametrize("reference", ["box/1/1", "", "x", "INV-2026-000001"])
def test_what_is_no_order_cannot_be_proven(ordered, reference):
    with pytest.raises(proving.NoSuchOrderError):
        prove(ordered, reference)


def test_an_order_for_which_nothing_was_charged_has_no_entry_to_prove(store, box):
    box.submit(box.order())
    box.submit(box.order(at_ms=NOW_MS + 1))
    store.write(lambda tx: exports.close_batch(tx, NOW_MS))
    with pytest.raises(proving.NoSuchOrderError):
        prove(store, ref(box, 2))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET text = 'game' WHERE entry = 3",
        "UPDATE entries SET hash = replace(hash, substr(hash, 1, 1), 'g') WHERE entry = 3",
        f"UPDATE entries SET hash = '{'1' * 64}' WHERE entry = 2",
        "DELETE FROM entries WHERE entry = 5",
    ],
    ids=["content", "no hash", "neighbour", "missing"],
)
def test_books_that_were_changed_prove_nothing(ordered, box, statement):
    tamper(ordered, statement)
    with pytest.raises((BatchChangedError, merkle.NotInTreeError)):
        prove(ordered, ref(box, 3))


def test_an_order_among_many_is_proven(store):
    many_entries(store, 3000)
    store.write(lambda tx: exports.close_batch(tx, NOW_MS))
    proof = prove(store, f"b-{2500:012x}/1/1")
    assert check_proof(proof, PUBLIC).entry == 2501
    assert len(proof) < 3000


# --- what does not hold
def test_a_changed_byte_anywhere_is_told(proof):
    for at in range(len(proof)):
        with pytest.raises(proofs.ProofError):
            check_proof(proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :], PUBLIC)


@given(raw=st.binary(max_size=200))
def test_what_is_no_proof_is_refused(raw):
    with pytest.raises(proofs.UnreadableProofError):
        check_proof(raw, PUBLIC)


def test_what_is_too_large_is_refused_unread():
    with pytest.raises(proofs.UnreadableProofError, match="larger"):
        check_proof(b" " * (proofs.MOST_BYTES + 1), PUBLIC)


def test_another_key_is_told(proof):
    with pytest.raises(proofs.ProofSignatureError):
        check_proof(proof, Ed25519PrivateKey.generate().public_key())


def test_another_batchs_head_is_told(ordered, box, proof):
    ordered.write(lambda tx: exports.close_batch(tx, NOW_MS))
    other = msgspec.json.decode(prove(ordered, ref(box, 6)), type=Proof)
    mixed = msgspec.structs.replace(msgspec.json.decode(proof, type=Proof), head=other.head)
    with pytest.raises(proofs.NotIncludedError):
        check_proof(msgspec.json.encode(mixed), PUBLIC)


@pytest.mark.parametrize(
    "changes", [{"index": 1}, {"size": 6}, {"path": ()}, {"path": ("0" * 64,) * 3}], ids=str
)
def test_another_place_or_path_is_told(proof, changes):
    mixed = msgspec.structs.replace(msgspec.json.decode(proof, type=Proof), **changes)
    with pytest.raises(proofs.NotIncludedError):
        check_proof(msgspec.json.encode(mixed), PUBLIC)


def test_an_entry_that_is_no_order_proves_none(store, box):
    box.submit(box.order())
    box.submit(box.delivery(1, "failed"))
    batch = store.write(lambda tx: exports.close_batch(tx, NOW_MS))
    _, back = store.read().entries(1, 2)
    assert back.kind == "usage-reversal"
    first = merkle.leaf_hash(bytes.fromhex(back.prev_hash))
    made = Proof(
        entry=msgspec.Raw(ledger.entry_bytes(back)),
        index=1,
        size=2,
        path=(first.hex(),),
        head=msgspec.Raw(exports.signed_head(batch, KEY)),
    )
    with pytest.raises(proofs.NotIncludedError, match="no order"):
        check_proof(msgspec.json.encode(made), PUBLIC)


def test_a_list_of_files_is_no_head(proof):
    files = heads.sign(heads.FileList(1, "0" * 64, ()), KEY)
    mixed = msgspec.structs.replace(msgspec.json.decode(proof, type=Proof), head=msgspec.Raw(files))
    with pytest.raises(proofs.UnreadableProofError):
        check_proof(msgspec.json.encode(mixed), PUBLIC)


def test_checking_needs_no_database():
    seen = (
        "import sys, headend.billing.proofs; print([m for m in sys.modules if 'sqlite' in m or 'flask' in m])"
    )
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the commands
def test_the_commands_check_a_proof_and_say_what_does_not_hold(proof, box, tmp_path):
    file, envelope = tmp_path / "proof.json", tmp_path / "order.json"
    file.write_bytes(proof + b"\n")
    envelope.write_bytes(box.sent[2])
    arguments = ["verify", str(file), "--key", dsse.public_to_text(PUBLIC), "--envelope", str(envelope)]
    done = CliRunner().invoke(proof_command, [*arguments, "--json"])
    assert done.exit_code == 0
    assert msgspec.json.decode(done.output)["ref"] == ref(box, 3)
    envelope.write_bytes(box.sent[1])
    done = CliRunner().invoke(proof_command, arguments)
    assert done.exit_code == 1
    assert "another envelope" in done.output
    missing = CliRunner().invoke(proof_command, [*arguments, "--title", "00", "film-1"])
    assert missing.exit_code == 1
