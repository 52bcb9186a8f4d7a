"""Second factors: codes of RFC 6238, sealed secrets, the second step of signing in, what roles require."""

import os
import re
from base64 import b32decode
from datetime import timedelta
from pathlib import Path

import pytest

from headend.app import open_headend
from headend.backup import back_up, restore
from headend.console import second_factor
from headend.console.second_factor import KEY_FILE, SealError, Seals
from headend.console.store import Role, SecondFactor
from headend.installation import Installation
from headend.kit.shelf import FolderShelf
from shared.clock import to_ms
from tests import engines
from tests.builders import SETTINGS
from tests.headend.console.conftest import PASSWORD, Stage, Visitor

STEP = timedelta(seconds=30)
RFC = b"12345678901234567890"


def code_now(stage: Stage, secret: bytes, steps: int = 0) -> str:
    return second_factor.code_at(secret, to_ms(stage.clock.now()) // 30_000 + steps)


def set_up(stage: Stage, visitor: Visitor) -> bytes:
    """Turn a second factor on as a person does, from the secret that the page shows."""
    visitor.post("/second-factor/offer", form="/password")
    page = visitor.get("/password").text
    secret = b32decode(re.search(r'class="secret"><code>([A-Z2-7 ]+)<', page)[1].replace(" ", ""))
    answer = visitor.post(
        "/second-factor/confirm", form="/password", password=PASSWORD, code=code_now(stage, secret)
    )
    assert answer.status_code == 303, answer.text
    stage.clock.advance(STEP)
    return secret


def give_code(visitor: Visitor, code: str, wanted: str = "") -> object:
    return visitor.post("/sign-in/code", code=code, next=wanted)


def whole(visitor: Visitor) -> bool:
    return visitor.get("/").status_code == 200


# --- codes


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    assert second_factor.code_at(RFC, seconds // 30) == code
    assert second_factor.step_of(RFC, code, seconds * 1000, 0) == seconds // 30


@pytest.mark.parametrize(("steps", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_of_skew_is_allowed_and_no_more(steps: int, *, fits: bool) -> None:
    code = second_factor.code_at(RFC, 1000 + steps)
    assert second_factor.step_of(RFC, code, 1000 * 30_000, 0) == (1000 + steps if fits else None)


def test_a_code_of_a_step_that_was_used_or_lies_before_it_fits_no_more() -> None:
    for last, fits in ((999, 1000), (1000, None), (1001, None)):
        assert second_factor.step_of(RFC, second_factor.code_at(RFC, 1000), 30_000_000, last) == fits


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "28708\uff12", "-87082"])
def test_what_is_no_code_does_not_fit(code: str) -> None:
    assert second_factor.step_of(RFC, code, 59_000, 0) is None


def test_a_secret_is_sealed_for_one_operator_under_a_key_of_mode_0600(tmp_path: Path) -> None:
    seals = Seals(FolderShelf(tmp_path / "keys" / "console"), lambda n: bytes(range(n)))
    sealed = seals.seal("alice", RFC)
    assert RFC not in sealed
    assert seals.open("alice", sealed) == RFC
    key = tmp_path / "keys" / "console" / KEY_FILE
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(SealError):
        seals.open("bob", sealed)
    with pytest.raises(SealError):
        seals.open("alice", sealed[:-1] + b"\x00")
    key.unlink()
    with pytest.raises(SealError):
        seals.open("alice", sealed)
    assert not key.exists()


@pytest.mark.sqlite(why="without --database a backup is restored into files")
def test_a_backup_holds_the_key(tmp_path: Path) -> None:
    installation = Installation.create(tmp_path / "headend", SETTINGS)
    sealed = Seals(FolderShelf(installation.keys_of("console")), os.urandom).seal("alice", RFC)
    back_up(installation, tmp_path / "backup", b"a passphrase")
    restore(tmp_path / "backup", tmp_path / "again", b"a passphrase")
    again = Installation(tmp_path / "again")
    assert Seals(FolderShelf(again.keys_of("console")), os.urandom).open("alice", sealed) == RFC


def test_the_installation_gives_the_console_its_own_folder_of_keys(tmp_path: Path) -> None:
    installation = Installation.create(tmp_path / "headend", SETTINGS)
    headend = open_headend(installation, ("console",))
    try:
        assert headend.console._frame.settings.keys == installation.folder / "keys" / "console"
    finally:
        headend.close()


# --- setting up


def test_a_second_factor_is_shown_as_picture_and_text_and_counts_once_confirmed(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    alice.post("/second-factor/offer", form="/password")
    page = alice.get("/password").text
    assert '<svg viewBox="0 0 ' in page
    assert " style=" not in page
    assert stage.visitor().sign_in("alice").location == "/console/"
    set_up(stage, alice)
    assert stage.visitor().sign_in("alice").location == "/console/sign-in/code"
    assert ("alice", "second factor turned on", "alice", "") in stage.audit()


def test_a_device_reads_the_address_that_the_picture_holds() -> None:
    address = second_factor.as_address(RFC, "alice", "Headend console")
    assert address.startswith("otpauth://totp/Headend%20console:alice?")
    assert "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" in address


@pytest.mark.parametrize("fields", [{"password": "wrong"}, {"code": "000000"}])
def test_a_second_factor_is_not_turned_on_without_password_and_code(
    stage: Stage, fields: dict[str, str]
) -> None:
    alice = stage.signed_in("alice")
    alice.post("/second-factor/offer", form="/password")
    page = alice.get("/password").text
    secret = b32decode(re.search(r'class="secret"><code>([A-Z2-7 ]+)<', page)[1].replace(" ", ""))
    form = {"password": PASSWORD, "code": code_now(stage, secret), **fields}
    assert alice.post("/second-factor/confirm", form="/password", **form).status_code == 403
    assert stage.console._frame.factors.since() == {}


def test_nothing_offered_is_nothing_to_confirm(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    form = {"password": PASSWORD, "code": "000000"}
    assert alice.post("/second-factor/confirm", form="/password", **form).status_code == 409


def test_what_one_sign_in_sets_up_another_neither_sees_nor_confirms(stage: Stage) -> None:
    here, there = stage.signed_in("alice"), stage.signed_in("alice")
    here.post("/second-factor/offer", form="/password")
    assert "<svg" not in there.get("/password").text


def test_turning_one_on_ends_the_operators_other_sign_ins(stage: Stage) -> None:
    here, there = stage.signed_in("alice"), stage.signed_in("alice")
    set_up(stage, here)
    assert whole(here)
    assert not whole(there)


def test_the_secret_stands_nowhere_in_the_clear(stage: Stage) -> None:
    secret = set_up(stage, stage.signed_in("alice"))
    stage.console.store.close()
    assert secret not in engines.on_disk(engines.where(stage.console.store))


def test_it_is_turned_off_with_password_and_code_and_not_without(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    secret = set_up(stage, alice)
    for form in (
        {"password": "wrong", "code": code_now(stage, secret)},
        {"password": PASSWORD, "code": code_now(stage, secret, 5)},
    ):
        assert alice.post("/second-factor/off", form="/password", **form).status_code == 403
    form = {"password": PASSWORD, "code": code_now(stage, secret)}
    assert alice.post("/second-factor/off", form="/password", **form).status_code == 303
    assert stage.visitor().sign_in("alice").location == "/console/"
    assert ("alice", "second factor turned off", "alice", "") in stage.audit()


# --- the second step


def test_password_and_code_open_what_was_wanted(stage: Stage) -> None:
    secret = set_up(stage, stage.signed_in("alice"))
    visitor = stage.visitor()
    answer = visitor.sign_in("alice", wanted="/console/orders?account=7")
    assert answer.location == "/console/sign-in/code?next=/console/orders?account%3D7"
    answer = give_code(visitor, code_now(stage, secret), "/console/orders?account=7")
    assert (answer.status_code, answer.location) == (303, "/console/orders?account=7")
    assert whole(visitor)
    assert visitor.client.get_cookie("console-half") is None


def test_a_wrong_password_tells_nobody_whether_there_is_a_second_factor(stage: Stage) -> None:
    set_up(stage, stage.signed_in("alice"))
    answers = [stage.visitor().sign_in(name, "wrong") for name in ("alice", "bob", "nobody")]
    texts = {re.sub(r'value="[\w-]{43}"', "", answer.text) for answer in answers}
    assert len(texts) == 1
    assert {answer.status_code for answer in answers} == {403}


def test_a_half_done_sign_in_opens_nothing_but_its_own_form(stage: Stage) -> None:
    set_up(stage, stage.signed_in("charlie"))
    visitor = stage.visitor()
    visitor.sign_in("charlie")
    half = visitor.client.get_cookie("console-half").value
    visitor.client.set_cookie("console", half)
    for path in ("/", "/people", "/password", "/audit"):
        assert "/console/sign-in" in visitor.get(path).location
    assert visitor.client.post("/console/people/change", data={}).status_code == 303
    assert visitor.get("/sign-in/code").status_code == 200


def test_a_half_done_sign_in_lasts_five_minutes(stage: Stage) -> None:
    secret = set_up(stage, stage.signed_in("alice"))
    visitor = stage.visitor()
    visitor.sign_in("alice")
    token = re.search(r'name="csrf" value="([^"]+)"', visitor.get("/sign-in/code").text)[1]
    stage.clock.advance(timedelta(minutes=5))
    form = {"csrf": token, "code": code_now(stage, secret)}
    answer = visitor.client.post("/console/sign-in/code", data=form)
    assert (answer.status_code, answer.location) == (303, "/console/sign-in")
    assert not whole(visitor)


def test_a_code_opens_once(stage: Stage) -> None:
    secret = set_up(stage, stage.signed_in("alice"))
    first, second = stage.visitor(), stage.visitor()
    code = code_now(stage, secret)
    first.sign_in("alice")
    second.sign_in("alice")
    assert give_code(first, code).status_code == 303
    assert give_code(second, code).status_code == 403
    assert not whole(second)


def test_a_half_done_sign_in_is_used_once(stage: Stage) -> None:
    secret = set_up(stage, stage.signed_in("alice"))
    visitor = stage.visitor()
    visitor.sign_in("alice")
    half = visitor.client.get_cookie("console-half").value
    give_code(visitor, code_now(stage, secret))
    stage.clock.advance(STEP)
    again = stage.visitor()
    again.client.set_cookie("console-half", half)
    assert again.get("/sign-in/code").location == "/console/sign-in"


def test_wrong_codes_lock_the_name_and_a_right_password_does_not_forgive_them(stage: Stage) -> None:
    secret = set_up(stage, stage.signed_in("alice"))
    for _ in range(5):
        visitor = stage.visitor()
        assert visitor.sign_in("alice").status_code == 303
        assert give_code(visitor, "000000").status_code == 403
    assert stage.visitor().sign_in("alice").status_code == 403
    assert give_code(visitor, code_now(stage, secret)).status_code == 403
    refused = [line for line in stage.audit() if line[1] == "sign-in refused"]
    assert refused == [("alice", "sign-in refused", "", "second factor")] * 5
    counts = {labels["name"]: n for _, labels, n in stage.console.side.metrics()}
    assert counts["sign-in"] == 7


def test_a_right_code_forgives(stage: Stage) -> None:
    secret = set_up(stage, stage.signed_in("alice"))
    for _ in range(3):
        visitor = stage.visitor()
        visitor.sign_in("alice")
        for _ in range(4):
            assert give_code(visitor, "000000").status_code == 403
        assert give_code(visitor, code_now(stage, secret)).status_code == 303
        stage.clock.advance(STEP)


def test_a_form_for_a_code_without_its_token_is_refused(stage: Stage) -> None:
    secret = set_up(stage, stage.signed_in("alice"))
    visitor = stage.visitor()
    visitor.sign_in("alice")
    form = {"code": code_now(stage, secret)}
    assert visitor.client.post("/console/sign-in/code", data=form).status_code == 403
    assert not whole(visitor)


def test_a_new_password_from_elsewhere_ends_half_done_sign_ins(stage: Stage) -> None:
    set_up(stage, stage.signed_in("alice"))
    visitor = stage.visitor()
    visitor.sign_in("alice")
    stage.console.operators.change_role("alice", "analyst")
    assert visitor.get("/sign-in/code").location == "/console/sign-in"


def test_a_key_that_is_lost_is_told_and_an_admin_helps(stage: Stage) -> None:
    secret = set_up(stage, stage.signed_in("alice"))
    stage.console.store.shelf(stage.console._frame.settings.keys).remove(KEY_FILE)
    visitor = stage.visitor()
    visitor.sign_in("alice")
    assert give_code(visitor, code_now(stage, secret)).status_code == 400
    assert not whole(visitor)
    password = stage.console.operators.reset_password("alice")
    assert stage.visitor().sign_in("alice", password).location == "/console/"


# --- admins


def test_a_reset_takes_password_and_second_factor_together(stage: Stage) -> None:
    set_up(stage, stage.signed_in("alice"))
    page = stage.signed_in("charlie").post("/people/change", form="/people", name="alice", do="reset").text
    password = page.split("<code>")[1].split("</code>")[0]
    assert stage.visitor().sign_in("alice", password).location == "/console/"
    assert ("charlie", "password reset", "alice", "and second factor") in stage.audit()


def test_people_shows_who_has_one(stage: Stage) -> None:
    set_up(stage, stage.signed_in("alice"))
    stage.console._frame.factors.require(frozenset({Role.ANALYST}), "charlie")
    rows = stage.signed_in("charlie").get("/people").text.split('scope="row">')[1:]
    told = {row.split("<")[0]: row for row in rows}
    assert ">on<" in told["alice"]
    assert "to be set up" in told["bob"]
    assert "none" in told["dana"]


def test_who_needs_one_and_has_none_sees_nothing_before_setting_one_up(stage: Stage) -> None:
    bob, charlie = stage.signed_in("bob"), stage.signed_in("charlie")
    charlie.post("/people/factors", form="/people", analyst="1")
    assert ("charlie", "second factor required of roles", "analyst", "") in stage.audit()
    assert bob.get("/popularity").location == "/console/password"
    assert bob.get("/").location == "/console/password"
    assert 'class="menu"' not in bob.get("/password").text
    set_up(stage, bob)
    assert bob.get("/popularity").status_code == 200
    assert stage.signed_in("alice").get("/orders").status_code == 200
    charlie.post("/people/factors", form="/people")
    assert stage.console._frame.factors.required() == frozenset()


def test_a_factor_that_nobody_confirmed_does_not_lift_the_requirement(stage: Stage) -> None:
    stage.console._frame.factors.require(frozenset({Role.ANALYST}), "charlie")
    bob = stage.signed_in("bob")
    bob.post("/second-factor/offer", form="/password")
    assert bob.get("/popularity").location == "/console/password"


def test_a_secret_put_in_anothers_place_opens_nothing(stage: Stage) -> None:
    set_up(stage, stage.signed_in("alice"))
    store = stage.console.store
    stolen = store.read().second_factor("alice")
    secret = stage.console._frame.factors._seals.open("alice", stolen.sealed)
    store.write(lambda tx: tx.put_second_factor(SecondFactor("bob", stolen.sealed, 0, 1)))
    visitor = stage.visitor()
    visitor.sign_in("bob")
    assert give_code(visitor, code_now(stage, secret)).status_code == 400
    assert not whole(visitor)
