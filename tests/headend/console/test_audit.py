"""The console's audit: chained, about accounts, searched, followed on its page and on the command line."""

import json
import re
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlite_utils
from click.testing import CliRunner

from headend.__main__ import main
from headend.app import open_headend
from headend.console import schema
from headend.console.sqlite import SqliteConsole
from headend.console.store import Action, AuditLine, Sought
from headend.installation import Installation
from headend.kit.chain import GENESIS, follow
from headend.kit.side import Attachment, Download, Page, PagePart, Visit
from headend.kit.storage import Connection, connect
from tests import engines
from tests.builders import SETTINGS
from tests.headend.console.conftest import Stage, Visitor, batch, side

DAY = timedelta(days=1)


def tamper(stage: Stage, *statements: str) -> None:
    """Change the audit as somebody with the file in hand could, past the triggers."""

    def work(database: Connection) -> None:
        engines.unguard(database)
        for statement in statements:
            database.execute(statement)

    stage.console.store._storage.write(work)


def lines_of(page: str) -> list[str]:
    return page.split("<tbody>")[1].split("</tbody>", maxsplit=1)[0].split("</tr>")[:-1]


def look(stage: Stage, operator: str, what: str, about: str = "", at: timedelta = timedelta()) -> None:
    at_ms = stage.console._access.now_ms() + at // timedelta(milliseconds=1)
    line = AuditLine(at_ms, operator, Action.LOOKED, what, "", about)
    stage.console.store.write(lambda tx: tx.write_audit(line))


# --- the chain


def test_every_line_is_chained_to_the_one_before(stage: Stage) -> None:
    stage.signed_in("alice").get("/account?account=account-0007")
    verdict = stage.console.auditing.verdict()
    assert verdict.holds
    assert verdict.lines == len(stage.audit())
    assert verdict.head != GENESIS


@pytest.mark.parametrize(
    "column", ["at_ms = 1", "operator = 'z'", "action = 'did'", "what = 'z'", "detail = 'z'", "about = 'z'"]
)
def test_a_line_that_is_changed_in_any_value_is_found(stage: Stage, column: str) -> None:
    tamper(stage, f"UPDATE audit SET {column} WHERE line = 3")
    assert stage.console.auditing.verdict().broken == 3


def test_a_line_that_is_taken_away_is_found(stage: Stage) -> None:
    tamper(stage, "DELETE FROM audit WHERE line = 2")
    assert stage.console.auditing.verdict().broken == 2


def test_the_officer_follows_the_chain_and_is_told_what_came_of_it(stage: Stage) -> None:
    dana = stage.signed_in("dana")
    assert "has not been followed" in dana.get("/audit").text
    answer = dana.post("/audit/verify", form="/audit")
    assert (answer.status_code, answer.location) == (303, "/console/audit")
    verdict = re.search(r"All (\d+) lines hold", dana.get("/audit").text)
    line = next(line for line in stage.audit() if line[2] == "audit/verify")
    assert line[:2] == ("dana", "did")
    assert line[3].startswith(f"{verdict[1]} lines to ")


def test_a_broken_line_is_told_by_its_number(stage: Stage) -> None:
    tamper(stage, "UPDATE audit SET operator = 'nobody' WHERE line = 2")
    dana = stage.signed_in("dana")
    dana.post("/audit/verify", form="/audit")
    page = dana.get("/audit").text
    assert "Line 2 is broken" in page
    assert "1 line before it holds" in page
    assert "line 2 is broken" in str(stage.audit())


@pytest.mark.parametrize("name", ["alice", "bob", "charlie"])
def test_only_the_officer_follows_it_and_asks_who_looked(stage: Stage, name: str) -> None:
    visitor = stage.signed_in(name)
    assert visitor.post("/audit/verify", form="/password").status_code == 403
    assert visitor.get("/audit/about?account=account-0007").status_code == 403


def test_lines_of_before_the_chain_are_chained_when_the_database_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "console.sqlite"
    before = connect(path, checkpoints=True)
    old = sqlite_utils.Database(before)
    schema.migrations.apply(old, stop_before="chained_audit")
    for number in range(1, 4):
        values = (number, number * 10, "alice", "looked", "orders", "")
        before.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", values)
    before.execute(
        "INSERT INTO operators VALUES ('alice', 'billing', 'x', 0, 0, 1, NULL)",
    )
    before.execute("INSERT INTO sign_ins VALUES (?, 'alice', 'c', 1, 1)", (b"a" * 32,))
    before.close()
    store = SqliteConsole(path, simulated=False)
    store.write(lambda tx: tx.write_audit(AuditLine(40, "bob", Action.LOOKED, "x", "", "account-1")))
    verdict = follow(store.read().audit_chain())
    assert (verdict.holds, verdict.lines) == (True, 4)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        store._storage.write(lambda db: db.execute("UPDATE audit SET hash = '' WHERE line = 1"))
    assert store.read().cookie(b"a" * 32).sign_in == b"a" * 32
    store.close()


# --- whom it is about


def test_a_look_a_deed_and_a_download_tell_whom_they_are_about(stage: Stage) -> None:
    both = frozenset({"billing"})
    files = [
        Download(
            "file",
            "File",
            both,
            lambda visit: Attachment(batch(visit).cleared, "a.csv", "text/csv", ("account-0003",)),
        )
    ]
    parts = [PagePart("list", "List", both, lambda _: Page("", about=("account-0001", "account-0002")))]
    stage.console.offer([side("billing", parts, files, {})], list)
    alice = stage.signed_in("alice")
    alice.get("/list")
    alice.get("/file")
    found = stage.console.store.read().audit(Sought(2))
    assert [line.about for line in found] == ["account-0003", "account-0001 account-0002"]
    for account in ("account-0001", "account-0002", "account-0003"):
        assert len(stage.console.store.read().audit(Sought(9, account=account))) == 1


def test_the_officer_is_told_who_looked_at_an_account_and_that_is_a_look_too(stage: Stage) -> None:
    stage.signed_in("alice").get("/account?account=account-0007")
    stage.signed_in("alice").get("/account?account=account-0008")
    dana = stage.signed_in("dana")
    rows = lines_of(dana.get("/audit/about?account=account-0007").text)
    assert len(rows) == 1
    assert ">alice<" in rows[0]
    rows = lines_of(dana.get("/audit/about?account=account-0007").text)
    assert len(rows) == 2
    assert ">dana<" in rows[0]
    rows = lines_of(dana.get("/audit?account=account-0007").text)
    assert len(rows) == 3
    assert "Nobody has looked at this account" in dana.get("/audit/about?account=account-9999").text


def test_an_admin_is_told_of_no_account(stage: Stage) -> None:
    stage.signed_in("alice").get("/account?account=account-0007")
    page = stage.signed_in("charlie").get("/audit?account=account-0007").text
    assert "account-0007" not in "".join(lines_of(page))
    assert 'name="account"' not in page
    assert stage.console.store.read().audit(Sought(1))[0].about == ""


# --- found


def found(visitor: Visitor, query: str) -> list[str]:
    page = visitor.get(f"/audit?{query}").text
    return re.findall(r"<td>(page-\d+)</td>", page)


def test_lines_are_found_by_operator_action_account_and_days(stage: Stage) -> None:
    look(stage, "erin", "page-1", "account-1", -2 * DAY)
    look(stage, "erin", "page-2", "account-2", -DAY)
    look(stage, "fred", "page-3", "account-1")
    dana = stage.signed_in("dana")
    assert found(dana, "operator=erin") == ["page-2", "page-1"]
    assert found(dana, "account=account-1") == ["page-3", "page-1"]
    assert found(dana, "account=account-1&operator=erin") == ["page-1"]
    assert found(dana, "action=looked") == ["page-3", "page-2", "page-1"]
    assert found(dana, "action=downloaded") == []
    assert found(dana, "from=2026-10-11") == ["page-3", "page-2"]
    assert found(dana, "until=2026-10-11") == ["page-2", "page-1"]
    assert found(dana, "from=2026-10-11&until=2026-10-11&operator=erin") == ["page-2"]


@pytest.mark.parametrize("query", ["from=yesterday", "until=2026-13-01", "action=made-up"])
def test_a_search_that_cannot_be_followed_is_refused_with_a_sentence(stage: Stage, query: str) -> None:
    answer = stage.signed_in("dana").get(f"/audit?{query}")
    assert answer.status_code == 422
    assert "2026-10-07" in answer.text or "no such action" in answer.text


def test_an_admin_cannot_ask_for_what_was_looked_at(stage: Stage) -> None:
    look(stage, "erin", "page-1")
    charlie = stage.signed_in("charlie")
    assert charlie.get("/audit?action=looked").status_code == 422
    assert found(charlie, "operator=erin") == []


@pytest.mark.parametrize("query", ["", "operator=erin", "account=account-1", "action=looked"])
def test_every_search_is_told_page_by_page_without_a_gap_or_a_double(stage: Stage, query: str) -> None:
    for number in range(230):
        look(stage, "erin", f"page-{number}", "account-1", number % 3 * DAY)
    dana, told, path = stage.signed_in("dana"), [], f"/audit?{query}"
    while path:
        page = dana.get(path).text
        told += re.findall(r"<td>(page-\d+)</td>", page)
        older = re.search(r'href="/console([^"]+)" rel="next"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert len(told) == 230
    assert len(set(told)) == 230


def test_a_page_about_one_account_tells_the_officer_who_has_looked_at_it(stage: Stage) -> None:
    def records(visit: Visit) -> Page:
        return Page("<p>kept</p>", about=(visit.arg("account"),))

    roles = frozenset({"billing", "privacy-officer"})
    stage.console.offer([side("billing", [PagePart("kept", "Kept", roles, records)], [], {})], list)
    alice, dana = stage.signed_in("alice"), stage.signed_in("dana")
    assert "Who has looked" not in alice.get("/kept?account=account-1").text
    page = dana.get("/kept?account=account-1").text
    looks = page.split("Who has looked")[1]
    assert re.findall(r"<td>(alice|dana)</td>", looks) == ["dana", "alice"]
    assert 'href="/console/audit/about?account=account-1"' in looks
    assert "alice" not in dana.get("/kept?account=account-2").text


# --- on the command line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    installation = Installation.create(tmp_path / "headend", SETTINGS)
    headend = open_headend(installation)
    headend.console.operators.add_operator("adam", "admin", "correct horse battery")
    headend.close()
    return installation.folder


def run(*arguments: str) -> Callable[[], str]:
    return CliRunner().invoke(main, arguments)


def test_the_command_says_that_the_chain_holds(folder: Path) -> None:
    done = run("audit", "verify", str(folder))
    assert done.exit_code == 0
    assert re.search(r"console\s+1\s+holds", done.output)
    assert re.search(r"billing\s+0\s+holds", done.output)
    told = json.loads(run("audit", "verify", str(folder), "--json").output)
    assert (told["console"]["holds"], told["console"]["lines"], told["console"]["broken"]) == (True, 1, None)


def test_the_command_ends_with_one_if_a_line_is_broken(folder: Path) -> None:
    with engines.raw(Installation(folder).place("console")) as database:
        engines.unguard(database, "audit")
        database.execute("UPDATE audit SET operator = 'eve'")
    done = run("audit", "verify", str(folder))
    assert done.exit_code == 1
    assert "line 1 is broken" in done.output


def test_an_operator_is_reset_on_the_command_line(folder: Path) -> None:
    done = run("operator", "reset", str(folder), "adam")
    assert done.exit_code == 0
    assert re.fullmatch(r"[a-z2-7]{6}(-[a-z2-7]{6}){3}\n", done.output)
    assert run("operator", "reset", str(folder), "eve").exit_code == 1
