"""Alice (billing), Bob (analyst), Charlie (admin), Dana (privacy officer): what each sees and may do."""

import re

import pytest

from headend.console.store import Action
from tests.headend.console.conftest import PASSWORD, Stage

SEEN = {
    "alice": {"/", "/orders", "/invoices", "/password"},
    "bob": {"/", "/popularity", "/password"},
    "charlie": {"/", "/people", "/audit", "/jobs", "/password"},
    "dana": {"/", "/popularity", "/registers", "/audit", "/password"},
}
ALL = sorted(set().union(*SEEN.values()) | {"/exports/batch"})


@pytest.mark.parametrize("name", SEEN)
def test_each_role_sees_its_pages_and_no_other(stage: Stage, name: str) -> None:
    visitor = stage.signed_in(name)
    for path in ALL:
        status = visitor.get(path).status_code
        if path in SEEN[name] - {"/registers"} or (path, name) == ("/exports/batch", "alice"):
            assert status == 200, path
        elif path not in SEEN[name]:
            assert status == 403, path
            assert stage.audit()[-1][:3] == (name, "refused", path[1:])


@pytest.mark.parametrize("name", SEEN)
def test_the_menu_names_what_the_role_sees_and_no_more(stage: Stage, name: str) -> None:
    page = stage.signed_in(name).get("/").text
    for path in ALL:
        assert (f'href="/console{path}"' in page) == (path in SEEN[name]), path


def test_tiles_are_those_of_the_role(stage: Stage) -> None:
    alice, charlie = stage.signed_in("alice").get("/").text, stage.signed_in("charlie").get("/").text
    assert "Orders received" in alice
    assert "Latest release" not in alice
    assert "Orders received" not in charlie
    assert "Operators" in charlie


def test_everybody_sees_which_job_is_late_and_what_closes_next(stage: Stage) -> None:
    bob, charlie = (stage.signed_in(name).get("/").text for name in ("bob", "charlie"))
    for page in (bob, charlie):
        assert "1 job is late or failed" in page
        assert ": invoices</li>" in page
        rows = page.split("<tbody>")[1].split("</tr>")
        assert ["late" in rows[0], "bill it" in rows[0], "boxes" in rows[1], "release" in rows[2]] == [
            True
        ] * 4
        assert ["never" in rows[0], "11 Oct 2026" in rows[1]] == [True, True]
    assert 'href="/console/jobs"' in charlie
    assert 'href="/console/jobs"' not in bob


def test_the_page_of_jobs_tells_each_with_its_state_and_the_late_ones_first(stage: Stage) -> None:
    rows = stage.signed_in("charlie").get("/jobs").text.split("<tbody>")[1].split("</tr>")
    told = [re.findall(r"<code>([a-z]+)</code>|state-(\w+)", row) for row in rows[:3]]
    assert [(one[0][0], one[1][1]) for one in told] == [
        ("invoices", "late"),
        ("draw", "due"),
        ("release", "waiting"),
    ]
    assert "never" in rows[0]
    assert "2026-W40" in rows[1]


def test_what_a_side_says_in_a_tile_is_text_and_no_markup(stage: Stage) -> None:
    page = stage.signed_in("alice").get("/").text
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert '" onmouseover' not in page


def test_arguments_in_the_audit_are_text_and_no_markup(stage: Stage) -> None:
    stage.signed_in("alice").get("/orders?account=<script>alert(1)</script>")
    page = stage.signed_in("dana").get("/audit?operator=").text
    assert "account=&lt;script&gt;" in page
    assert "<script" not in page


def test_a_side_whose_tiles_fail_does_not_hide_the_others(stage: Stage) -> None:
    def fail(_: frozenset[str]) -> list[object]:
        raise RuntimeError("no database")

    object.__setattr__(stage.console._frame.sides[1], "tiles", fail)
    page = stage.signed_in("alice").get("/").text
    assert "Orders received" in page
    assert "no answer" in page
    assert "no database" not in page


def test_a_side_that_refuses_gets_a_page_with_its_sentence(stage: Stage) -> None:
    answer = stage.signed_in("dana").get("/registers?name=<b>x")
    assert answer.status_code == 400
    assert "no register &lt;b&gt;x" in answer.text


def test_an_admin_adds_somebody_who_can_sign_in_with_the_password_shown(stage: Stage) -> None:
    charlie = stage.signed_in("charlie")
    page = charlie.post("/people", name="erin", role="analyst").text
    password = page.split("<code>")[1].split("</code>")[0]
    assert stage.visitor().sign_in("erin", password).status_code == 303
    assert ("charlie", "operator added", "erin", "analyst") in stage.audit()
    assert password not in str(stage.audit())


@pytest.mark.parametrize(
    ("name", "role", "status"),
    [("alice", "billing", 409), ("Erin", "billing", 422), ("e", "billing", 422), ("erin", "root", 422)],
)
def test_a_bad_addition_is_refused_and_changes_nothing(
    stage: Stage, name: str, role: str, status: int
) -> None:
    before = stage.console.operators.list_operators()
    answer = stage.signed_in("charlie").post("/people", name=name, role=role)
    assert answer.status_code == status
    assert [one.name for one in before] == [one.name for one in stage.console.operators.list_operators()]


def test_a_changed_role_counts_at_once(stage: Stage) -> None:
    alice, charlie = stage.signed_in("alice"), stage.signed_in("charlie")
    assert (
        charlie.post("/people/change", form="/people", name="alice", do="role", role="analyst").status_code
        == 303
    )
    assert alice.get("/orders").status_code == 303
    alice = stage.signed_in("alice")
    assert alice.get("/orders").status_code == 403
    assert alice.get("/popularity").status_code == 200


def test_a_reset_ends_lockout_sign_ins_and_the_old_password(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    for _ in range(6):
        stage.visitor().sign_in("alice", "wrong")
    page = stage.signed_in("charlie").post("/people/change", form="/people", name="alice", do="reset").text
    password = page.split("<code>")[1].split("</code>")[0]
    assert alice.get("/").status_code == 303
    assert stage.visitor().sign_in("alice").status_code == 403
    assert stage.signed_in("alice", password).get("/").location == "/console/password"


@pytest.mark.parametrize("change", [{"do": "disable"}, {"do": "role", "role": "billing"}])
def test_the_last_admin_cannot_be_taken_away(stage: Stage, change: dict[str, str]) -> None:
    charlie = stage.signed_in("charlie")
    answer = charlie.post("/people/change", form="/people", name="charlie", **change)
    assert answer.status_code == 409
    assert charlie.get("/people").status_code == 200
    stage.console.operators.add_operator("erin", "admin", PASSWORD)
    assert charlie.post("/people/change", form="/people", name="charlie", **change).status_code == 303


def test_an_installation_without_an_admin_can_change_its_operators(stage: Stage) -> None:
    stage.console.operators.add_operator("erin", "admin", PASSWORD)
    stage.console.operators.disable("charlie")
    stage.console.store._storage.write(lambda db: db.execute("UPDATE operators SET role = 'billing'"))
    stage.console.operators.reset_password("alice")


@pytest.mark.parametrize("do", ["", "delete", "disable"])
def test_an_unknown_change_or_operator_is_refused(stage: Stage, do: str) -> None:
    assert (
        stage.signed_in("charlie").post("/people/change", form="/people", name="nobody", do=do).status_code
        == 404
    )


@pytest.mark.parametrize("name", ["alice", "bob", "dana"])
def test_only_an_admin_changes_people(stage: Stage, name: str) -> None:
    visitor = stage.signed_in(name)
    assert visitor.post("/people", form="/password", name="erin", role="admin").status_code == 403
    assert visitor.post("/people/change", form="/password", name="alice", do="disable").status_code == 403
    assert len(stage.console.operators.list_operators()) == 4
    assert not any(one.disabled for one in stage.console.operators.list_operators())


def test_looks_downloads_and_sign_ins_stand_in_the_audit(stage: Stage) -> None:
    alice = stage.signed_in("alice")
    alice.get("/orders?account=account-0007&state=")
    alice.get("/exports/batch?number=1")
    alice.post("/sign-out", form="/")
    lines = [line for line in stage.audit() if line[0] == "alice"]
    assert [line[1] for line in lines] == ["signed in", "looked", "downloaded", "looked", "signed out"]
    assert lines[1][2:] == ("orders", "account=account-0007")
    assert lines[2][3].startswith("number=1 export batch to billing system for billing, ")


def test_the_admin_sees_of_the_audit_who_signed_in_and_not_what_was_looked_at(stage: Stage) -> None:
    stage.signed_in("alice").get("/orders?account=account-0007")
    admin, officer = (stage.signed_in(name).get("/audit?operator=alice").text for name in ("charlie", "dana"))
    assert "signed in" in admin
    assert "account-0007" not in admin
    assert "account-0007" in officer


def test_the_audit_is_shown_page_by_page(stage: Stage) -> None:
    for number in range(250):
        stage.console._access.audit("erin", Action.LOOKED, f"page-{number}")
    dana = stage.signed_in("dana")
    first = dana.get("/audit?operator=erin").text
    assert "page-249<" in first
    assert "page-149<" not in first
    older = (
        first.split('rel="next"')[0]
        .rsplit('<a href="', 1)[1]
        .split('"')[0]
        .replace("&amp;", "&")
        .removeprefix("/console")
    )
    second = dana.get(older).text
    assert "page-149<" in second
    assert "page-150<" not in second
    assert dana.get("/audit?before=1%27--").status_code == 200
