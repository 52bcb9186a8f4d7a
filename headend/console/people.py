"""The admin's page of operators: list, add, disable, give another role or a new password."""

from http import HTTPStatus

from flask import Blueprint, make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from headend.console.frame import Frame, current
from headend.console.operators import UnknownOperatorError
from headend.console.pages import need_role
from headend.console.passwords import make_password
from headend.console.store import Action, Role
from headend.kit.http import RefusedError

ADMIN = frozenset({Role.ADMIN})


class People:
    """The pages about operators."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def install(self, blueprint: Blueprint) -> None:
        """Give the pages their addresses."""
        blueprint.add_url_rule("/people", "people", self.people)
        blueprint.add_url_rule("/people", "add_operator", self.add, methods=["POST"])
        blueprint.add_url_rule("/people/<name>", "change_operator", self.change, methods=["POST"])

    def people(self) -> Response:
        """Who may sign in, and as what."""
        need_role(self._frame, ADMIN, "people")
        self._frame.access.note(current(), Action.LOOKED, "people")
        return self._list("", HTTPStatus.OK)

    def add(self) -> Response:
        """Add an operator, and show the password once."""
        need_role(self._frame, ADMIN, "people")
        name = request.form.get("name", "").strip()
        password = make_password(self._frame.random_bytes)
        try:
            self._frame.operators.add_operator(
                name, request.form.get("role", ""), password, by=current().operator.name
            )
        except RefusedError as refusal:
            return self._list(str(refusal), refusal.status)
        return make_response(self._frame.show("made.html", "Operator added", name=name, password=password))

    def change(self, name: str) -> Response:
        """Do to an operator what the button says."""
        need_role(self._frame, ADMIN, "people")
        try:
            password = self._do(request.form.get("do", ""), name)
        except RefusedError as refusal:
            return self._list(str(refusal), refusal.status)
        if password:
            page = self._frame.show("made.html", "Password reset", name=name, password=password)
            return make_response(page)
        return redirect(url_for("console.people"), HTTPStatus.SEE_OTHER)

    def _do(self, what: str, name: str) -> str:
        operators, by = self._frame.operators, current().operator.name
        match what:
            case "disable":
                operators.disable(name, by)
            case "enable":
                operators.enable(name, by)
            case "role":
                operators.change_role(name, request.form.get("role", ""), by)
            case "reset":
                return operators.reset_password(name, by)
            case _:
                raise UnknownOperatorError("There is no such change.")
        return ""

    def _list(self, wrong: str, status: HTTPStatus) -> Response:
        page = self._frame.show(
            "people.html",
            "People",
            operators=self._frame.operators.list_operators(),
            roles=list(Role),
            wrong=wrong,
        )
        return make_response(page, status)
