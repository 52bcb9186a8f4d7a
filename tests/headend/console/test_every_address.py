"""Every address of the console and every role, over the real application with all sides: who gets in.

The addresses are those that the sides offer and that the application has; none is written down here but
those that are open to everybody.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from headend.app import Headend, create_app, open_headend
from headend.console import passwords
from headend.console.store import AuditLine, Role, Sought
from headend.installation import Installation
from tests.builders import SETTINGS
from tests.headend.console.conftest import PASSWORD, PEOPLE, Visitor

OPEN = {
    ("GET", "/console/sign-in"),
    ("POST", "/console/sign-in"),
    ("GET", "/console/sign-in/code"),
    ("POST", "/console/sign-in/code"),
    ("POST", "/console/language"),
    ("GET", "/console/static/<path:filename>"),
}
"""What somebody may ask for who has not signed in."""


@dataclass
class Real:
    """The real application, and one browser for each role."""

    headend: Headend
    app: Flask
    visitors: dict[str, Visitor]

    def offered(self, kind: str) -> list[tuple[str, frozenset[str]]]:
        """The pages, downloads or deeds of all sides, with their roles."""
        sides = self.headend.sides()
        found = [(one.path, one.roles) for one in chain(*(getattr(side, kind) for side in sides))]
        assert {side.name for side in sides} == {"billing", "analytics", "console"}
        return found

    def newest(self) -> AuditLine:
        """The last line of the audit."""
        (line,) = self.headend.console.store.read().audit(Sought(1))
        return line

    def refused(self, name: str, path: str) -> bool:
        """Whether the audit's last line says that this page is not for this operator's role."""
        line = self.newest()
        return (line.operator, line.action, line.what, line.detail) == (
            name,
            "refused",
            path,
            "not for this role",
        )


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "METHOD", "scrypt:1024:8:1")
        passwords.decoy.cache_clear()
        installation = Installation.create(tmp_path_factory.mktemp("real") / "headend", SETTINGS)
        headend = open_headend(installation)
        for name, role in PEOPLE.items():
            headend.console.operators.add_operator(name, role, PASSWORD, must_change=False)
        app = create_app(headend)
        visitors = {name: Visitor(app.test_client()) for name in PEOPLE}
        for name, visitor in visitors.items():
            assert visitor.sign_in(name).status_code == 303
        yield Real(headend, app, visitors)
        headend.close()
    passwords.decoy.cache_clear()


def token_of(visitor: Visitor) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', visitor.get("/password").text)[1]


def stranger(real: Real) -> FlaskClient:
    return real.app.test_client()


def rules(app: Flask) -> list[tuple[str, Rule]]:
    """Every method and rule of the console."""
    return [
        (method, rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/console")
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"})
    ]


def test_every_side_offers_something_and_every_role_has_something(real: Real) -> None:
    pages = real.offered("pages")
    assert len(pages) > 10
    assert {role for _, roles in pages for role in roles} == set(Role)


@pytest.mark.parametrize("kind", ["pages", "downloads"])
@pytest.mark.parametrize("name", PEOPLE)
def test_each_role_gets_what_is_offered_to_it_and_of_the_rest_nothing(
    real: Real, name: str, kind: str
) -> None:
    wrong = {}
    for path, roles in real.offered(kind):
        status = real.visitors[name].get(f"/{path}").status_code
        refused = real.refused(name, path)
        if not (status < 500 and not refused if PEOPLE[name] in roles else status == 403 and refused):
            wrong[path] = status
    assert wrong == {}


@pytest.mark.parametrize("name", PEOPLE)
def test_no_role_does_what_is_for_another(real: Real, name: str) -> None:
    visitor, wrong = real.visitors[name], {}
    token = token_of(visitor)
    for path, roles in real.offered("deeds"):
        status = visitor.client.post(f"/console/{path}", data={"csrf": token}).status_code
        refused = real.refused(name, path)
        if not (status < 500 and not refused if PEOPLE[name] in roles else status == 403 and refused):
            wrong[path] = status
    assert wrong == {}


@pytest.mark.parametrize("name", PEOPLE)
def test_no_form_does_anything_without_the_token_of_its_own_sign_in(real: Real, name: str) -> None:
    visitor, wrong = real.visitors[name], {}
    strange = next(token_of(other) for who, other in real.visitors.items() if who != name)
    posted = [path for path, _ in real.offered("deeds")]
    posted += [
        rule.rule.removeprefix("/console/")
        for method, rule in rules(real.app)
        if method == "POST" and (method, rule.rule) not in OPEN and not rule.arguments
    ]
    for path in posted:
        for form in ({}, {"csrf": ""}, {"csrf": strange}):
            status = visitor.client.post(f"/console/{path}", data=form).status_code
            line = real.newest()
            if (status, line.operator, line.action, line.what) != (403, name, "form refused", path):
                wrong[path] = (status, line)
    assert wrong == {}


@pytest.mark.parametrize("kind", ["pages", "downloads", "deeds"])
def test_somebody_who_has_not_signed_in_is_sent_to_the_door(real: Real, kind: str) -> None:
    client, wrong = stranger(real), {}
    for path, _ in real.offered(kind):
        ask = client.post if kind == "deeds" else client.get
        answer = ask(f"/console/{path}")
        at_the_door = (answer.location or "").startswith("/console/sign-in")
        if (answer.status_code, at_the_door) != (303, True) or len(answer.data) > 600:
            wrong[path] = answer.status_code
    assert wrong == {}


def test_every_rule_of_the_console_is_one_of_the_open_ones_or_refuses_strangers(real: Real) -> None:
    client, wrong = stranger(real), []
    for method, rule in rules(real.app):
        if (method, rule.rule) in OPEN:
            continue
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        answer = client.open(path, method=method)
        if answer.status_code != 303 or not answer.location.startswith("/console/sign-in"):
            wrong.append((method, rule.rule, answer.status_code))
    assert wrong == []
    assert {(method, rule.rule) for method, rule in rules(real.app)} >= OPEN


def test_a_made_up_cookie_opens_nothing_and_is_taken_back(real: Real) -> None:
    client, wrong = stranger(real), []
    for path, _ in real.offered("pages"):
        client.set_cookie("console", "A" * 43)
        answer = client.get(f"/console/{path}")
        if answer.status_code != 303 or client.get_cookie("console") is not None:
            wrong.append(path)
    assert wrong == []
