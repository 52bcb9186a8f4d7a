"""Billing's pages served by the real console: roles, forged forms, downloads, and what the audit keeps."""

import re
from http import HTTPStatus
from zoneinfo import ZoneInfo

import pytest
from flask import Blueprint, Flask

from headend.billing.pages.offered import make_deeds, make_downloads, make_pages
from headend.billing.pages.tiles import tiles
from headend.console import passwords
from headend.console.frame import Settings
from headend.console.side import make_console
from headend.kit.side import Side
from shared.clock import ManualClock, from_ms
from tests.headend.billing.pages.desks import LATER_MS, bill_of, closed, fields, lived
from tests.headend.console.conftest import PASSWORD, START, Visitor

ROLES = {"alice": "billing", "bob": "analyst", "charlie": "admin", "dana": "privacy-officer"}


@pytest.fixture
def office(tmp_path):
    office, box = lived(tmp_path)
    closed(office)
    office.box = box
    yield office
    office.store.close()


@pytest.fixture
def console(office, tmp_path, monkeypatch):
    monkeypatch.setattr(passwords, "METHOD", "scrypt:1024:8:1")
    passwords.decoy.cache_clear()
    settings = Settings(
        ManualClock(START),
        ManualClock(from_ms(LATER_MS)),
        simulated=False,
        secure_cookies=False,
        zone=ZoneInfo("Europe/Amsterdam"),
        keys=tmp_path / "keys",
    )
    made = make_console(tmp_path / "console.sqlite", settings)
    for name, role in ROLES.items():
        made.operators.add_operator(name, role, PASSWORD, must_change=False)
    side = Side(
        name="billing",
        blueprints=(Blueprint("billing", __name__),),
        jobs=[],
        pages=make_pages(office.desk),
        deeds=make_deeds(office.desk),
        downloads=make_downloads(office.desk),
        tiles=lambda visit: tiles(office.desk, visit),
        metrics=list,
        ready=lambda: None,
        close=lambda: None,
    )
    made.offer([side, made.side], list)
    yield made
    made.side.close()
    passwords.decoy.cache_clear()


@pytest.fixture
def sign_in(console):
    app = Flask("test")
    app.register_blueprint(console.side.blueprints[0])

    def make(name):
        visitor = Visitor(app.test_client())
        assert visitor.sign_in(name).status_code == HTTPStatus.SEE_OTHER
        return visitor

    return make


def audit(console):
    rows = console.store._storage.read().execute("SELECT operator, action, what, detail FROM audit")
    return [tuple(row) for row in rows]


def test_other_roles_get_nothing_at_any_address(office, sign_in):
    offered = [*make_pages(office.desk), *make_downloads(office.desk)]
    for name in ("bob", "charlie", "dana"):
        visitor = sign_in(name)
        for part in offered:
            answer = visitor.get(f"/{part.path}?ref={office.box.box}/1/1&account=acc-1&batch=1")
            assert answer.status_code == HTTPStatus.FORBIDDEN, (name, part.path)
            assert bill_of(office) not in answer.text
        for deed in make_deeds(office.desk):
            answer = visitor.post(f"/{deed.path}", "/password", number=bill_of(office))
            assert answer.status_code == HTTPStatus.FORBIDDEN, (name, deed.path)


def test_every_page_is_reached_from_the_overview_by_two_links_at_most(sign_in):
    visitor = sign_in("alice")

    def links(path):
        page = visitor.get(path)
        assert page.status_code == HTTPStatus.OK, path
        return set(re.findall(r'href="/console(/[^"#]*)', page.text.replace("&amp;", "&")))

    first = links("/")
    files = ("/static", "/invoices/bill", "/proofs", "/exports/batch", "/exports/head")
    reached = set(first)
    for path in sorted(first):
        if not path.startswith(files):
            reached |= links(path)
    found = {path.split("?")[0].strip("/") for path in reached}
    assert {"order", "account", "invoice", "export", "box", "suspense", "alarms", "export-keys"} <= found
    assert "/reconciliation" in first


def test_a_credit_is_raised_by_two_forms_and_only_with_their_tokens(office, sign_in, console):
    visitor, number = sign_in("alice"), bill_of(office)
    ref = f"{office.box.box}/1/1"
    asked = {"number": number, f"cents:{ref}": "1.00", "why": "secret reason"}
    assert visitor.client.post("/console/invoice/credit", data=asked).status_code == HTTPStatus.FORBIDDEN
    preview = visitor.post("/invoice/credit", f"/invoice?number={number}", **asked)
    assert preview.status_code == HTTPStatus.OK
    assert office.store.read().notes_of(number) == []
    token = re.search(r'name="csrf" value="([^"]+)"', preview.text)[1]
    sent = {**fields(preview.text, "invoice/credit"), "csrf": token}
    done = visitor.client.post("/console/invoice/credit", data=sent)
    assert done.status_code == HTTPStatus.SEE_OTHER
    again = visitor.client.post("/console/invoice/credit", data=sent)
    assert again.status_code == HTTPStatus.BAD_REQUEST
    assert len(office.store.read().notes_of(number)) == 1
    assert not [line for line in audit(console) if "secret reason" in line[3]]


def test_what_is_searched_for_stands_in_no_audit(sign_in, console):
    visitor = sign_in("alice")
    found = visitor.post("/find", "/orders", text="Mrs Somebody")
    assert found.status_code == HTTPStatus.OK
    assert not [line for line in audit(console) if "Somebody" in "".join(line)]
    assert visitor.post("/find", "/orders", text="acc-1").status_code == HTTPStatus.SEE_OTHER


@pytest.mark.parametrize("name", ["jsonl", "csv", "ubl"])
def test_a_batch_is_downloaded_as_a_stream_or_refused_by_its_reason(office, sign_in, console, name):
    answer = sign_in("alice").get(f"/exports/batch?batch=1&format={name}")
    if name == "ubl":
        assert answer.status_code == HTTPStatus.BAD_REQUEST, "nobody is set to bill in Belgium"
        assert "who bills in BE" in answer.text
        return
    assert answer.status_code == HTTPStatus.OK
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="BILL-00000001.')
    (line,) = [line for line in audit(console) if line[1] == "downloaded"]
    assert "export batch to billing system for billing" in line[3]


def test_looks_at_a_subscriber_are_told_with_the_account(sign_in, console):
    sign_in("alice").get("/orders?account=acc-2")
    rows = console.store._storage.read().execute("SELECT * FROM audit ORDER BY line DESC LIMIT 1").fetchone()
    assert "acc-2" in str(tuple(rows))
