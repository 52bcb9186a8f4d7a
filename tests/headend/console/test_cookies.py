"""Cookies: renewed while they are used, of no use to a thief, never fixed; forged forms; all audited."""

import re
from datetime import timedelta

import pytest

from tests.headend.console.conftest import MakeStage, Stage, Visitor

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def value(visitor: Visitor) -> str:
    return visitor.client.get_cookie("console").value


def with_cookie(stage: Stage, cookie: str) -> Visitor:
    visitor = stage.visitor()
    visitor.client.set_cookie("console", cookie)
    return visitor


def test_a_cookie_is_renewed_after_a_quarter_of_an_hour_of_use(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    first = value(alice)
    stage.clock.advance(15 * MINUTE - SECOND)
    alice.get("/orders")
    assert value(alice) == first
    stage.clock.advance(SECOND)
    assert alice.get("/orders").status_code == 200
    assert value(alice) != first
    assert len(value(alice)) == 43
    assert alice.get("/orders").status_code == 200


def test_a_form_renews_too_and_forms_that_were_open_still_work(stage: Stage) -> None:
    charlie = stage.signed_in("charlie")
    token = re.search(r'name="csrf" value="([^"]+)"', charlie.get("/people").text)[1]
    first = value(charlie)
    stage.clock.advance(20 * MINUTE)
    form = {"csrf": token, "name": "alice", "do": "disable"}
    assert charlie.client.post("/console/people/change", data=form).status_code == 303
    assert value(charlie) != first
    assert charlie.client.post("/console/people/change", data={**form, "do": "enable"}).status_code == 303


def test_the_style_sheet_renews_nothing(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    stage.clock.advance(20 * MINUTE)
    with alice.get("/static/console.css") as answer:
        assert "Set-Cookie" not in answer.headers


def test_the_style_sheet_may_be_kept_by_anybody_so_it_sets_no_cookie_whatever_comes(stage: Stage) -> None:
    before = stage.audit()
    with with_cookie(stage, "A" * 43).get("/static/console.css") as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=86400"
        assert "Set-Cookie" not in answer.headers
    assert stage.audit() == before


def test_of_two_pages_at_the_same_moment_one_renews(stage: Stage) -> None:
    alice, access = stage.signed_in("alice"), stage.console._access
    stage.clock.advance(15 * MINUTE)
    first, second = (access.recognise(value(alice)) for _ in range(2))
    renewed = access.renew(first)
    assert renewed is not None
    assert access.renew(second) is None
    stage.clock.advance(2 * MINUTE)
    assert with_cookie(stage, renewed).get("/orders").status_code == 200


def test_the_old_value_opens_for_a_minute_more_for_tabs_side_by_side(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    old = value(alice)
    stage.clock.advance(15 * MINUTE)
    alice.get("/orders")
    beside = with_cookie(stage, old)
    stage.clock.advance(60 * SECOND)
    assert beside.get("/orders").status_code == 200
    assert value(beside) == old
    assert alice.get("/orders").status_code == 200


def test_an_old_value_used_after_that_ends_the_whole_sign_in_and_stands_in_the_audit(stage: Stage) -> None:
    alice, elsewhere = stage.signed_in("alice"), stage.signed_in("alice")
    stolen = value(alice)
    stage.clock.advance(15 * MINUTE)
    alice.get("/orders")
    stage.clock.advance(60 * SECOND + timedelta(milliseconds=1))
    thief = with_cookie(stage, stolen)
    answer = thief.get("/orders")
    assert answer.status_code == 303
    assert "/console/sign-in" in answer.location
    assert thief.client.get_cookie("console") is None
    assert stage.audit()[-1] == ("alice", "old cookie used", "", "the sign-in has been ended")
    assert alice.get("/orders").status_code == 303
    assert elsewhere.get("/orders").status_code == 200
    assert "Old cookies used" in stage.signed_in("charlie").get("/").text


def test_a_thief_who_is_first_to_renew_is_found_when_the_owner_comes_back(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    thief = with_cookie(stage, value(alice))
    stage.clock.advance(20 * MINUTE)
    assert thief.get("/orders").status_code == 200
    stage.clock.advance(2 * MINUTE)
    assert alice.get("/orders").status_code == 303
    assert thief.get("/orders").status_code == 303


def test_renewing_neither_lengthens_the_twelve_hours_nor_the_half_hour(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    stage.clock.advance(16 * MINUTE)
    alice.get("/orders")
    stage.clock.advance(30 * MINUTE)
    assert alice.get("/orders").status_code == 303


def test_a_renewed_cookie_is_as_guarded_as_the_first(make_stage: MakeStage) -> None:
    stage = make_stage(secure=True)
    client = stage.app.test_client()
    page = client.get("/console/sign-in", base_url="https://console.example").text
    token = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    form = {"csrf": token, "name": "alice", "password": "correct horse battery"}
    client.post("/console/sign-in", data=form, base_url="https://console.example")
    stage.clock.advance(16 * MINUTE)
    answer = client.get("/console/orders", base_url="https://console.example")
    cookie = next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith("__Host-console="))
    for flag in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert flag in cookie


@pytest.mark.parametrize("cookie", ["A" * 43, "fixed-by-somebody-else", "x" * 4000])
def test_a_cookie_that_was_not_made_here_never_becomes_a_sign_in(stage: Stage, cookie: str) -> None:
    victim = with_cookie(stage, cookie)
    assert victim.get("/orders").status_code == 303
    assert stage.audit()[-1] == ("(unknown name)", "cookie refused", "orders", "not made here, or ended")
    victim.client.set_cookie("console", cookie)
    assert victim.sign_in("alice").status_code == 303
    assert value(victim) != cookie
    assert with_cookie(stage, cookie).get("/orders").status_code == 303


def test_a_flood_of_made_up_cookies_is_counted_but_does_not_fill_the_audit(stage: Stage) -> None:
    for number in range(50):
        with_cookie(stage, f"made-up-{number}").get("/orders")
    assert sum(line[1] == "cookie refused" for line in stage.audit()) == 30
    counts = {labels["name"]: n for _, labels, n in stage.console.side.metrics()}
    assert counts["cookie-unknown"] == 50
    assert stage.visitor().sign_in("alice").status_code == 303


def test_a_sign_in_that_idled_is_no_theft(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    stage.clock.advance(31 * MINUTE)
    before = stage.audit()
    assert alice.get("/orders").status_code == 303
    assert stage.audit() == before


def test_forged_forms_stand_in_the_audit_with_whose_sign_in_they_used(stage: Stage) -> None:
    charlie = stage.signed_in("charlie")
    charlie.client.post("/console/people/change", data={"csrf": "A" * 43, "name": "x", "do": "disable"})
    assert stage.audit()[-1] == ("charlie", "form refused", "people/change", "no token of this sign-in")
    token = re.search(r'name="csrf" value="([^"]+)"', charlie.get("/people").text)[1]
    form = {"csrf": token, "name": "alice", "do": "disable"}
    charlie.client.post("/console/people/change", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert stage.audit()[-1] == (
        "charlie",
        "form refused",
        "people/change",
        "sent from elsewhere: cross-site",
    )
    stage.visitor().client.post("/console/sign-in", data={"name": "alice", "password": "hunter2-hunter2"})
    assert stage.audit()[-1] == ("(unknown name)", "form refused", "sign-in", "no token of this sign-in")


def test_behind_encryption_browsers_are_told_to_come_encrypted_only(make_stage: MakeStage) -> None:
    answer = make_stage(secure=True).app.test_client().get("/console/sign-in")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_in_the_clear_they_are_not(stage: Stage) -> None:
    answer = stage.visitor().get("/sign-in")
    assert "Strict-Transport-Security" not in answer.headers
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert answer.headers["X-Permitted-Cross-Domain-Policies"] == "none"


# --- one's own sign-ins


def test_people_see_their_own_sign_ins_and_end_the_others(stage: Stage) -> None:
    here, there, bob = stage.signed_in("alice"), stage.signed_in("alice"), stage.signed_in("bob")
    page = here.get("/password").text
    assert page.count("127.0.0.1") == 2
    assert page.count("this one") == 1
    here.post("/sign-ins/end", form="/password", which="others")
    assert there.get("/").status_code == 303
    assert here.get("/").status_code == 200
    assert bob.get("/").status_code == 200
    assert ("alice", "sign-in ended", "", "127.0.0.1") in stage.audit()


def test_one_of_them_is_ended_by_itself(stage: Stage) -> None:
    here, there, third = (stage.signed_in("alice") for _ in range(3))
    which = stage.console._access.recognise(value(there)).sign_in.id_hash.hex()
    here.post("/sign-ins/end", form="/password", which=which)
    assert [one.get("/").status_code for one in (here, there, third)] == [200, 303, 200]


def test_nobody_ends_anothers_sign_in(stage: Stage) -> None:
    alice, bob = stage.signed_in("alice"), stage.signed_in("bob")
    which = stage.console._access.recognise(value(bob)).sign_in.id_hash.hex()
    for named in (which, "", "zz" * 32, "é" * 64, which[:10]):
        alice.post("/sign-ins/end", form="/password", which=named)
    assert bob.get("/").status_code == 200
    assert alice.get("/").status_code == 200
