import secrets

import pytest

from headend.billing import accounts
from headend.billing.accounts import BadAccountError, enrol, read_accounts
from headend.billing.catalogue import BadCatalogueError, publish_catalogue, read_offers
from headend.billing.refusals import UnknownCodeError
from headend.billing.rows import NotFoundError
from headend.kit.http import MalformedError
from shared.named import encode
from tests import engines
from tests.builders import CATALOGUE_KEY, DAY, NOW_MS, SigningBox, account, offer, promotion

HEADER = "account,postal_area,zone,country,language\n"


def code_for(store, box=None):
    return store.write(lambda tx: accounts.add_code(tx, "acc-1", box, NOW_MS, secrets.token_bytes))


def test_a_code_enrols_one_key_and_gives_that_key_the_same_answer_again(store):
    box = SigningBox(store)
    envelope = box.enrolment(code_for(store))
    first = enrol(store, envelope, NOW_MS, secrets.token_bytes)
    assert enrol(store, envelope, NOW_MS + DAY, secrets.token_bytes) == first
    assert len(list(store.read().boxes())) == 1


def test_a_used_unknown_or_expired_code_is_refused(store):
    code = code_for(store)
    enrol(store, SigningBox(store).enrolment(code), NOW_MS, secrets.token_bytes)
    for bad, now_ms in ((code, NOW_MS), ("NO-SUCH-CODE", NOW_MS), (code_for(store), NOW_MS + 31 * DAY)):
        with pytest.raises(UnknownCodeError):
            enrol(store, SigningBox(store).enrolment(bad), now_ms, secrets.token_bytes)


def test_an_enrolment_not_signed_by_the_key_it_brings_is_refused(store):
    box, other = SigningBox(store), SigningBox(store)
    genuine = box.enrolment(code_for(store))
    box.key = other.key
    with pytest.raises(MalformedError):
        enrol(store, genuine[:-20], NOW_MS, secrets.token_bytes)
    from shared import dsse
    from shared.named import Enrol

    theirs = dsse.public_to_text(SigningBox(store).key.public_key())
    forged = other.sign(encode(Enrol(code=code_for(store), serial="SN", public_key=theirs)), "k")
    with pytest.raises(MalformedError):
        enrol(store, forged, NOW_MS, secrets.token_bytes)


def test_the_code_itself_is_stored_nowhere(store):
    code = code_for(store)
    assert code.encode() not in engines.on_disk(engines.where(store))


def test_a_code_for_an_account_or_box_that_does_not_exist_is_refused(store):
    for name, box in (("nobody", None), ("acc-1", "bx-none")):
        with pytest.raises(NotFoundError):
            store.write(lambda tx, a=name, b=box: accounts.add_code(tx, a, b, NOW_MS, secrets.token_bytes))


def test_accounts_are_read_from_csv():
    found = read_accounts(
        HEADER + "a-1,1011,Europe/Amsterdam,NL,nl\na-2,2000,Europe/Brussels,BE,fr\n", NOW_MS
    )
    assert [(one.account, one.country) for one in found] == [("a-1", "NL"), ("a-2", "BE")]


def test_every_bad_row_is_named_and_nothing_is_half_imported():
    text = HEADER + (
        "a-1,1011,Europe/Amsterdam,NL,nl\n,1,Europe/Amsterdam,NL,nl\n"
        "a-1,1,Mars/Base,NL,nl\na-3,1,x\na-4,1,Europe/Amsterdam,NL,xx\n"
    )
    with pytest.raises(BadAccountError) as error:
        read_accounts(text, NOW_MS)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
        f"row {number}" for number in (3, 4, 5, 6)
    ]


@pytest.mark.parametrize(
    "name", ["acc\x0b7", "acc\x00", "acc\u2028", "\ud800", " ", " acc", "a\x85", "a" * 65]
)
def test_an_account_id_that_no_document_could_carry_is_refused(name):
    with pytest.raises(BadAccountError):
        accounts.check_account(account(name))


def test_an_imported_account_id_or_area_that_cannot_be_printed_is_named_by_its_row():
    text = HEADER + "acc\x0b7,1011,Europe/Amsterdam,NL,nl\nacc-8,10\x00,Europe/Amsterdam,NL,nl\n"
    with pytest.raises(BadAccountError, match=r"(?s)row 2: account id .*row 3: postal area"):
        read_accounts(text, NOW_MS)


def test_offers_are_read_from_csv_and_json_alike():
    import msgspec

    one = offer(title="Film, with a comma")
    columns = [name for name in msgspec.structs.asdict(one) if name != "valid_to_ms"]
    cells = [str(getattr(one, name)) for name in columns]
    text = ",".join(columns) + "\n" + ",".join(f'"{cell}"' for cell in cells) + "\n"
    assert read_offers(text.encode(), "csv") == [one] == read_offers(msgspec.json.encode([one]), "json")


@pytest.mark.parametrize(
    "changes",
    [
        {"price_cents": -1},
        {"genre": "no-such-genre"},
        {"window_hours": 0},
        {"mode": "subscription"},
        {"valid_to_ms": 1},
        {"title": ""},
        {"title": "a\u000bb"},
        {"offer": "a\u001bb"},
    ],
    ids=repr,
)
def test_an_offer_that_cannot_hold_is_refused_with_its_row(changes):
    import msgspec

    rows = [msgspec.to_builtins(offer()), msgspec.to_builtins(offer("film-2")) | changes]
    with pytest.raises(BadCatalogueError, match="row 2"):
        read_offers(msgspec.json.encode(rows), "json")


def test_an_offers_version_cannot_be_published_again_with_other_terms(store):
    with pytest.raises(BadCatalogueError):
        store.write(lambda tx: publish_catalogue(tx, [offer(price_cents=1)], CATALOGUE_KEY, NOW_MS))
    version, _ = store.write(
        lambda tx: publish_catalogue(tx, [offer(version=2, price_cents=1)], CATALOGUE_KEY, NOW_MS)
    )
    assert version == 2


def test_an_offer_or_promotion_in_a_currency_that_no_countrys_bills_are_in_is_not_published(store):
    abroad, off = offer("abroad", currency="GBP"), promotion(currency="USD")
    with pytest.raises(BadCatalogueError, match=r"abroad: .* GBP.*\n.*autumn: .* USD"):
        store.write(lambda tx: publish_catalogue(tx, [abroad], CATALOGUE_KEY, NOW_MS, [off]))
    assert store.read().catalogue_version() == 1
