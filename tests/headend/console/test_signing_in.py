"""The door: who gets in, how long, and what slows guessing down."""

import hashlib
import re
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from headend.console.entrance import SignInRefusedError
from headend.console.lockout import ADDRESS_LIMIT
from headend.console.passwords import hash_password, make_password
from tests import engines
from tests.headend.console.conftest import PASSWORD, MakeStage, Stage

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "path", ["/", "/orders", "/popularity", "/people", "/audit", "/password", "/nowhere"]
)
def test_no_page_is_shown_to_somebody_who_has_not_signed_in(stage: Stage, path: str) -> None:
    answer = stage.visitor().get(path)
    assert answer.status_code == 303
    assert "/console/sign-in" in answer.location
    assert len(answer.data) < 500


def test_a_form_from_somebody_who_has_not_signed_in_changes_nothing(stage: Stage) -> None:
    answer = stage.visitor().client.post("/console/people", data={"name": "eve", "role": "admin"})
    assert answer.status_code == 303
    assert "/console/sign-in" in answer.location
    assert len(stage.console.operators.list_operators()) == 4


def test_somebody_who_signs_in_sees_the_overview_and_their_name(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    page = alice.get("/")
    assert page.status_code == 200
    assert "alice" in page.text
    assert "Orders received" in page.text


def test_after_signing_in_one_is_where_one_wanted_to_be(stage: Stage) -> None:
    visitor = stage.visitor()
    asked = visitor.get("/orders?account=7")
    assert visitor.client.get(asked.location).text.count("/console/orders?account=7") == 1
    assert (
        visitor.sign_in("alice", wanted="/console/orders?account=7").location == "/console/orders?account=7"
    )


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/console//evil.example", "/console/\\evil", "/other"],
)
def test_signing_in_leads_nowhere_else(stage: Stage, wanted: str) -> None:
    assert stage.visitor().sign_in("alice", wanted=wanted).location == "/console/"


@pytest.mark.parametrize(
    ("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("", ""), ("alice", "")]
)
def test_a_wrong_name_or_password_gets_the_same_refusal(stage: Stage, name: str, password: str) -> None:
    visitor = stage.visitor()
    answer = visitor.sign_in(name, password)
    assert answer.status_code == 403
    assert "Name and password do not fit" in answer.text
    assert visitor.get("/").status_code == 303


def test_an_unknown_name_is_not_written_down_since_it_may_be_a_password(stage: Stage) -> None:
    stage.visitor().sign_in("hunter2-hunter2", "x")
    assert stage.audit()[-1][:2] == ("(unknown name)", "sign-in refused")
    stage.console.store.close()
    assert b"hunter2" not in engines.on_disk(engines.where(stage.console.store))


def test_after_five_failures_the_right_password_is_refused_for_fifteen_minutes(stage: Stage) -> None:
    visitor = stage.visitor()
    for _ in range(5):
        assert visitor.sign_in("alice", "wrong").status_code == 403
    assert visitor.sign_in("alice").status_code == 403
    stage.clock.advance(15 * MINUTE - timedelta(seconds=1))
    assert visitor.sign_in("alice").status_code == 403
    stage.clock.advance(timedelta(seconds=1, milliseconds=1))
    assert visitor.sign_in("alice").status_code == 303


def test_names_that_do_not_exist_lock_like_those_that_do(stage: Stage) -> None:
    visitor = stage.visitor()
    texts = {visitor.sign_in("ghost", "wrong").text for _ in range(7)}
    assert len(texts) == 1


def test_four_failures_are_forgiven_by_a_success(stage: Stage) -> None:
    for _ in range(3):
        visitor = stage.visitor()
        for _ in range(4):
            visitor.sign_in("alice", "wrong")
        assert visitor.sign_in("alice").status_code == 303


def test_one_locked_operator_does_not_lock_the_others(stage: Stage) -> None:
    visitor = stage.visitor()
    for _ in range(6):
        visitor.sign_in("alice", "wrong")
    assert visitor.sign_in("bob").status_code == 303


def test_an_address_that_tries_many_names_is_slowed_down(stage: Stage) -> None:
    entrance = stage.console._frame.entrance
    for number in range(ADDRESS_LIMIT):
        with pytest.raises(SignInRefusedError):
            entrance.sign_in(f"name-{number}", "wrong", "2001:db8::1")
    with pytest.raises(SignInRefusedError):
        entrance.sign_in("alice", PASSWORD, "2001:db8::ffff")  # the same /64
    entrance.sign_in("alice", PASSWORD, "2001:db8:0:1::1")


def test_guesses_sent_side_by_side_all_count(stage: Stage) -> None:
    entrance = stage.console._frame.entrance

    def guess() -> None:
        with pytest.raises(SignInRefusedError):
            entrance.sign_in("alice", "wrong", "192.0.2.1")

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    looked_at = [line for line in stage.audit() if line[1] == "sign-in refused"]
    assert len(looked_at) == 5


def test_a_disabled_operator_is_out_at_once_and_stays_out(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    stage.console.operators.disable("alice")
    assert alice.get("/").status_code == 303
    assert stage.visitor().sign_in("alice").status_code == 403
    stage.console.operators.enable("alice")
    assert alice.get("/").status_code == 303
    assert stage.visitor().sign_in("alice").status_code == 303


def test_half_an_hour_without_a_page_ends_the_sign_in(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    stage.clock.advance(29 * MINUTE)
    assert alice.get("/").status_code == 200
    stage.clock.advance(29 * MINUTE)
    assert alice.get("/").status_code == 200
    stage.clock.advance(30 * MINUTE)
    assert alice.get("/").status_code == 303


def test_twelve_hours_end_the_sign_in_however_busy(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    for _ in range(35):
        stage.clock.advance(20 * MINUTE)
        assert alice.get("/").status_code == 200
    stage.clock.advance(20 * MINUTE)
    assert alice.get("/").status_code == 303


def test_a_steered_clock_neither_ends_nor_keeps_a_sign_in(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    stage.installation_clock.advance(timedelta(days=40))
    assert alice.get("/").status_code == 200


def test_a_clock_set_back_by_an_hour_ends_the_sign_in(stage: Stage) -> None:
    stage.clock.advance(timedelta(hours=2))
    alice = stage.signed_in("alice")
    stage.clock._now -= timedelta(hours=1)
    assert alice.get("/").status_code == 303


def test_old_sign_ins_are_forgotten_when_somebody_signs_in(stage: Stage) -> None:
    stage.signed_in("alice")
    stage.clock.advance(timedelta(hours=13))
    stage.signed_in("bob")
    rows = stage.console.store._storage.read().execute("SELECT operator FROM sign_ins").fetchall()
    assert [row[0] for row in rows] == ["bob"]


def test_signing_out_ends_the_sign_in_for_the_cookie_too(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    cookie = alice.client.get_cookie("console").value
    assert alice.post("/sign-out", form="/").status_code == 303
    assert alice.client.get_cookie("console") is None
    again = stage.visitor()
    again.client.set_cookie("console", cookie)
    assert again.get("/").status_code == 303


def test_signing_in_again_gives_a_fresh_cookie_and_ends_the_old_one(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    old = alice.client.get_cookie("console").value
    token = "A" * 43
    alice.client.set_cookie("console-form", token)
    form = {"csrf": token, "name": "alice", "password": PASSWORD}
    assert alice.client.post("/console/sign-in", data=form).status_code == 303
    assert alice.client.get_cookie("console").value != old
    again = stage.visitor()
    again.client.set_cookie("console", old)
    assert again.get("/").status_code == 303


def test_the_cookie_is_out_of_reach_and_the_database_knows_its_hash_only(make_stage: MakeStage) -> None:
    stage = make_stage(secure=True)
    answer = stage.visitor().sign_in("alice")
    cookie = next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith("__Host-console="))
    for flag in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert flag in cookie
    value = re.match(r"__Host-console=([^;]+)", cookie)[1]
    assert len(value) == 43
    rows = stage.console.store._storage.read().execute("SELECT id_hash FROM sign_ins").fetchall()
    assert [bytes(row[0]) for row in rows] == [hashlib.sha256(value.encode()).digest()]


def test_a_sign_in_form_without_its_token_is_refused(stage: Stage) -> None:
    form = {"name": "alice", "password": PASSWORD}
    for csrf in ({}, {"csrf": ""}, {"csrf": "A" * 43}):
        answer = stage.visitor().client.post("/console/sign-in", data={**form, **csrf})
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers


def test_a_first_password_has_to_be_changed_before_anything_is_seen(stage: Stage) -> None:
    stage.console.operators.add_operator("erin", "billing", PASSWORD)
    erin = stage.signed_in("erin")
    assert erin.get("/orders").location == "/console/password"
    assert erin.post(
        "/password", old=PASSWORD, new="a new long secret", again="a new long secret"
    ).location == ("/console/")
    assert erin.get("/orders").status_code == 200


def test_choosing_a_password_ends_every_other_sign_in(stage: Stage) -> None:
    here, there = stage.signed_in("alice"), stage.signed_in("alice")
    here.post("/password", old=PASSWORD, new="a new long secret", again="a new long secret")
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 303
    assert stage.visitor().sign_in("alice").status_code == 403
    assert stage.visitor().sign_in("alice", "a new long secret").status_code == 303


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("wrong", "a new long secret", "a new long secret"),
        (PASSWORD, "a new long secret", "another secret here"),
        (PASSWORD, "short", "short"),
        (PASSWORD, "x" * 257, "x" * 257),
        (PASSWORD, "aaaaaaaaaaaaaa", "aaaaaaaaaaaaaa"),
        (PASSWORD, "this is alice's", "this is alice's"),
        (PASSWORD, PASSWORD, PASSWORD),
    ],
)
def test_a_bad_new_password_changes_nothing(stage: Stage, old: str, new: str, again: str) -> None:
    alice = stage.signed_in("alice")
    assert alice.post("/password", old=old, new=new, again=again).status_code in {403, 422}
    assert stage.visitor().sign_in("alice").status_code == 303


def test_a_stolen_sign_in_cannot_guess_the_password_without_end(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    for _ in range(5):
        alice.post("/password", old="wrong", new="a new long secret", again="a new long secret")
    answer = alice.post("/password", old=PASSWORD, new="a new long secret", again="a new long secret")
    assert answer.status_code == 403


def test_passwords_are_kept_as_salted_scrypt() -> None:
    one, other = hash_password("alice", PASSWORD), hash_password("alice", PASSWORD)
    assert one != other
    assert one.startswith("scrypt:32768:8:1$")


def test_made_passwords_come_from_the_given_randomness() -> None:
    assert make_password(lambda n: bytes(range(n))) == make_password(lambda n: bytes(range(n)))
    assert make_password(lambda n: b"\xff" * n) == "777777-777777-777777-777777"


def test_a_sign_in_that_outlived_its_operators_disabling_is_not_believed(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    store = stage.console.store
    operator = store.read().operator("alice")
    store.write(lambda tx: tx.put_operator(replace(operator, disabled=True)))
    assert alice.get("/").status_code == 303
