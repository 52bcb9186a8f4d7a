"""Forms, headers, transport, downloads: what the console lets in and out."""

from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from headend.console import guard
from headend.console.side import OWN_PATHS, PathTakenError, make_console
from headend.console.sql import WrongStampError
from headend.console.store import Action, AuditLine
from headend.kit.side import Deed, Done, PagePart
from headend.kit.storage import StorageError
from tests import engines
from tests.headend.console.conftest import MakeStage, Stage, side

CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)


def assert_guarded(answer: TestResponse) -> None:
    assert answer.headers["Content-Security-Policy"] == CSP
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not any(name.lower().startswith("access-control") for name, _ in answer.headers)


@pytest.mark.parametrize("path", ["/", "/sign-in", "/orders", "/people", "/nowhere", "/exports/batch"])
def test_every_answer_carries_the_headers(stage: Stage, path: str) -> None:
    assert_guarded(stage.visitor().get(path))
    assert_guarded(stage.signed_in("alice").get(path))


def test_a_page_that_breaks_is_guarded_too_and_tells_nothing(stage: Stage) -> None:
    def broken(_: dict[str, str]) -> str:
        raise RuntimeError("secret detail")

    parts = [PagePart("broken", "Broken", frozenset({"billing"}), broken)]
    stage.console.offer([side("billing", parts, [], {})], list)
    answer = stage.signed_in("alice").get("/broken")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "<h1>Something went wrong</h1>" in answer.text
    counts = {labels["name"]: n for _, labels, n in stage.console.side.metrics()}
    assert counts == {"internal-server-error": 1}
    assert_guarded(answer)


def test_another_method_finds_no_page(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    answer = alice.post("/orders", form="/password")
    assert answer.status_code == 404
    assert_guarded(answer)


def test_no_page_holds_a_script_an_inline_style_or_another_host(stage: Stage) -> None:
    for name, path in (("alice", "/"), ("alice", "/password"), ("charlie", "/people"), ("dana", "/audit")):
        page = stage.signed_in(name).get(path).text.lower()
        for forbidden in ("<script", " style=", " onclick", "http:", "https:", 'src="//'):
            assert forbidden not in page, (path, forbidden)


def test_the_style_sheet_needs_no_sign_in_and_may_be_kept(stage: Stage) -> None:
    page = stage.visitor().get("/sign-in").text
    address = page.split('rel="stylesheet" href="/console')[1].split('"')[0]
    with stage.visitor().get(address) as answer:
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=86400"
    assert stage.visitor().get("/static/../console.sqlite").status_code in {303, 404}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/people", {"name": "erin", "role": "admin"}),
        ("/people/change", {"name": "alice", "do": "disable"}),
        ("/sign-out", {}),
        ("/password", {"old": "x", "new": "y", "again": "y"}),
    ],
)
@pytest.mark.parametrize("token", ["", "A" * 43, "ü"])
def test_a_form_without_the_sign_ins_token_is_refused(
    stage: Stage, path: str, fields: dict[str, str], token: str
) -> None:
    charlie, other = stage.signed_in("charlie"), stage.signed_in("charlie")
    answer = charlie.client.post(f"/console{path}", data={**fields, "csrf": token})
    assert answer.status_code == 403
    assert charlie.get("/people").status_code == 200
    assert len(stage.console.operators.list_operators()) == 4
    strange = other.get("/people").text.split('name="csrf" value="')[1].split('"')[0]
    assert charlie.client.post(f"/console{path}", data={**fields, "csrf": strange}).status_code == 403


def test_a_form_that_the_browser_says_another_site_sent_is_refused(stage: Stage) -> None:
    charlie = stage.signed_in("charlie")
    token = charlie.get("/people").text.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": token, "name": "alice", "do": "disable"}
    for site in ("cross-site", "same-site", "none"):
        answer = charlie.client.post("/console/people/change", data=form, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 403
    answer = charlie.client.post(
        "/console/people/change", data=form, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status_code == 303


@pytest.mark.parametrize("where", ["https://elsewhere.example/", "//elsewhere.example", "/billing/v1/x"])
def test_a_form_that_is_done_leads_to_the_console_and_nowhere_else(stage: Stage, where: str) -> None:
    deed = Deed("lead", "Lead", frozenset({"billing"}), lambda _: Done(where))
    stage.console.offer([side("billing", [], [], {}, [deed])], list)
    alice = stage.signed_in("alice")
    assert alice.post("/lead", form="/password").location == "/console/"


def test_a_large_form_is_refused(stage: Stage) -> None:
    form = {"csrf": "x" * (guard.MAX_FORM + 1)}
    answer = stage.visitor().client.post("/console/sign-in", data=form)
    assert answer.status_code == 413
    assert "larger than any page sends" in answer.text
    assert_guarded(answer)


@pytest.mark.parametrize("query", ["a=" + "x" * 200, "&".join(f"a{n}=1" for n in range(21))])
def test_a_long_query_is_refused(stage: Stage, query: str) -> None:
    assert stage.signed_in("alice").get(f"/orders?{query}").status_code == 414


def test_in_the_clear_the_console_answers_on_loopback_only(stage: Stage) -> None:
    client = stage.app.test_client()
    away = client.get("/console/sign-in", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert away.status_code == 403
    renamed = client.get("/console/sign-in", headers={"Host": "console.example"})
    assert renamed.status_code == 403
    assert client.get("/console/sign-in", headers={"Host": "127.0.0.1:8080"}).status_code == 200


def test_behind_encryption_it_answers_everybody(make_stage: MakeStage) -> None:
    client = make_stage(secure=True).app.test_client()
    answer = client.get(
        "/console/sign-in",
        headers={"Host": "console.example"},
        environ_overrides={"REMOTE_ADDR": "192.0.2.7"},
    )
    assert answer.status_code == 200


def test_a_cleared_file_is_handed_over_with_its_name(stage: Stage) -> None:
    answer = stage.signed_in("alice").get("/exports/batch")
    assert answer.data == b"entry;cents\n1;499\n"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="batch-1.csv"'
    assert answer.content_type == "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    "path", ["/exports/batch?to=advertiser", "/exports/batch?to=public", "/exports/bare"]
)
def test_what_disclosure_has_not_cleared_does_not_leave(stage: Stage, path: str) -> None:
    answer = stage.signed_in("alice").get(path)
    assert answer.status_code == 403
    assert b"499" not in answer.data
    assert b"everything" not in answer.data
    assert stage.audit()[-1][:2] == ("alice", "refused")


def test_a_file_name_cannot_carry_a_header(stage: Stage) -> None:
    answer = stage.signed_in("alice").get("/exports/split")
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_a_page_at_a_path_that_is_taken_is_refused_at_the_start(stage: Stage) -> None:
    def part(path: str) -> PagePart:
        return PagePart(path, "Page", frozenset({"billing"}), lambda _: "")

    for path in OWN_PATHS:
        with pytest.raises(PathTakenError, match=path):
            stage.console.offer([side("billing", [part(path)], [], {})], list)
    with pytest.raises(PathTakenError, match="orders"):
        stage.console.offer(
            [side("billing", [part("orders")], [], {}), side("analytics", [part("orders")], [], {})], list
        )


@pytest.mark.parametrize("simulated", [True, False])
def test_every_page_says_when_the_installation_is_simulated(
    make_stage: MakeStage, *, simulated: bool
) -> None:
    stage = make_stage(simulated=simulated)
    pages = [stage.visitor().get("/sign-in")]
    charlie = stage.signed_in("charlie")
    pages += [charlie.get(path) for path in ("/", "/people", "/audit", "/password", "/nowhere", "/orders")]
    assert [("Simulated installation" in page.text) for page in pages] == [simulated] * 7


def test_a_database_keeps_its_stamp(stage: Stage) -> None:
    place = engines.where(stage.console.store)
    with pytest.raises(WrongStampError):
        make_console(place, replace(stage.console._frame.settings, simulated=True))


def test_the_audit_can_be_added_to_and_nothing_else(stage: Stage) -> None:
    line = AuditLine(1, "x", Action.LOOKED, "y", "", "account-0001")
    stage.console.store.write(lambda tx: tx.write_audit(line))
    before = stage.audit()
    for statement in (
        "UPDATE audit SET operator = 'z'",
        "DELETE FROM audit",
        engines.OVERWRITE.format("audit"),
        "UPDATE audit_about SET account = 'z'",
        "DELETE FROM audit_about",
        engines.OVERWRITE.format("audit_about"),
    ):
        with pytest.raises((*engines.REFUSED, StorageError), match="append-only"):
            stage.console.store._storage.write(lambda db, sql=statement: db.execute(sql))
    assert stage.audit() == before


def test_refusals_are_counted_by_name(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    alice.get("/people")
    alice.get("/nowhere")
    counts = {labels["name"]: n for _, labels, n in stage.console.side.metrics()}
    assert counts == {"not-for-role": 1, "no-such-page": 1}
    stage.console.side.ready()


def test_a_database_that_fails_is_told_without_its_own_words(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = stage.signed_in("alice")

    def broken(_self: object, _work: object) -> None:
        raise StorageError("the disk is closed")

    with monkeypatch.context() as patch:
        patch.setattr(type(stage.console.store._storage), "write", broken)
        answer = alice.get("/orders")
    assert answer.status_code == 503
    assert "nothing was changed" in answer.text
    assert "closed" not in answer.text
    assert_guarded(answer)


def test_a_text_with_a_zero_character_is_not_understood_and_nothing_is_written(stage: Stage) -> None:
    alice, before = stage.signed_in("alice"), len(stage.audit())
    for path in ("/account?account=a%00b", "/account?a%00b=a", "/a%00b"):
        assert alice.get(path).status_code == 400
    assert stage.visitor().post("/sign-in", name="a\0b", password="x").status_code == 400
    assert len(stage.audit()) == before
