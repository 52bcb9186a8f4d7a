"""The door: sign in, sign out, choose a password."""

import re
from http import HTTPStatus

from flask import Blueprint, g, make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from headend.console.access import SignInRefusedError, secret
from headend.console.frame import LANGUAGE_COOKIE, Frame, current
from headend.console.guard import Guard, check_form
from headend.console.passwords import LONGEST, SHORTEST, PasswordRefusedError
from headend.kit.language import LANGUAGES, N_

_INSIDE = re.compile(r"/console/(?!/)[^\\\s]*")
_FORM_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_WRONG = N_("Name and password do not fit, or there were too many attempts. After five, wait 15 minutes.")


class Door:
    """The pages of the door."""

    def __init__(self, frame: Frame, guard: Guard) -> None:
        self._frame = frame
        self._guard = guard

    def install(self, blueprint: Blueprint) -> None:
        """Give the pages their addresses."""
        blueprint.add_url_rule("/sign-in", "sign_in", self.sign_in)
        blueprint.add_url_rule("/sign-in", "try_sign_in", self.try_sign_in, methods=["POST"])
        blueprint.add_url_rule("/sign-out", "sign_out", self.sign_out, methods=["POST"])
        blueprint.add_url_rule("/language", "choose_language", self.choose_language, methods=["POST"])
        blueprint.add_url_rule("/password", "password", self.password)
        blueprint.add_url_rule("/password", "change_password", self.change_password, methods=["POST"])

    def sign_in(self) -> Response:
        """The form; somebody signed in goes on to the overview."""
        if g.signed is not None:
            return redirect(url_for("console.overview"), HTTPStatus.SEE_OTHER)
        return self._sign_in_form("", HTTPStatus.OK)

    def try_sign_in(self) -> Response:
        """Begin a sign-in with a fresh cookie; one that was there ends."""
        check_form(request.cookies.get(self._guard.form_cookie, ""))
        name = request.form.get("name", "").strip()
        try:
            cookie, _ = self._frame.access.sign_in(
                name, request.form.get("password", ""), request.remote_addr or ""
            )
        except SignInRefusedError as refusal:
            return self._sign_in_form(self._frame.language().text(_WRONG), refusal.status)
        if g.signed is not None:
            self._frame.access.sign_out(g.signed)
        answer = redirect(_inside(request.form.get("next", "")), HTTPStatus.SEE_OTHER)
        self._guard.set_cookie(answer, self._guard.cookie, cookie)
        self._guard.drop_cookie(answer, self._guard.form_cookie)
        return answer

    def sign_out(self) -> Response:
        """End the sign-in."""
        self._frame.access.sign_out(current())
        answer = redirect(url_for("console.sign_in"), HTTPStatus.SEE_OTHER)
        self._guard.drop_cookie(answer, self._guard.cookie)
        return answer

    def choose_language(self) -> Response:
        """Remember which language this browser is answered in; it reveals and changes nothing else."""
        answer = redirect(_inside(request.form.get("again", "")), HTTPStatus.SEE_OTHER)
        chosen = request.form.get("language", "")
        if chosen in LANGUAGES:
            self._guard.set_cookie(answer, LANGUAGE_COOKIE, chosen)
        return answer

    def password(self) -> Response:
        """The form for a new password."""
        return self._password_form("", HTTPStatus.OK)

    def change_password(self) -> Response:
        """Choose a new password: all sign-ins of the operator end and one begins."""
        access, name = self._frame.access, current().operator.name
        old, new = request.form.get("old", ""), request.form.get("new", "")
        if new != request.form.get("again", ""):
            return self._password_form(
                N_("The new passwords are not the same."), HTTPStatus.UNPROCESSABLE_ENTITY
            )
        if new == old:
            return self._password_form(
                N_("The new password is the old one."), HTTPStatus.UNPROCESSABLE_ENTITY
            )
        address = request.remote_addr or ""
        try:
            access.check_password(name, old, address)
            self._frame.operators.choose_password(name, new)
        except SignInRefusedError as refusal:
            return self._password_form(N_("The old password does not fit."), refusal.status)
        except PasswordRefusedError as refusal:
            return self._password_form(str(refusal), refusal.status)
        cookie, _ = access.sign_in(name, new, address)
        answer = redirect(url_for("console.overview"), HTTPStatus.SEE_OTHER)
        self._guard.set_cookie(answer, self._guard.cookie, cookie)
        return answer

    def _sign_in_form(self, wrong: str, status: HTTPStatus) -> Response:
        token = request.cookies.get(self._guard.form_cookie, "")
        if not _FORM_TOKEN.fullmatch(token):
            token = secret(self._frame.random_bytes)
        wanted = request.values.get("next", "")
        page = self._frame.show("sign_in.html", N_("Sign in"), form_token=token, wrong=wrong, wanted=wanted)
        answer = make_response(page, status)
        self._guard.set_cookie(answer, self._guard.form_cookie, token)
        return answer

    def _password_form(self, wrong: str, status: HTTPStatus) -> Response:
        page = self._frame.show(
            "password.html",
            N_("Your password"),
            wrong=self._frame.language().text(wrong),
            shortest=SHORTEST,
            longest=LONGEST,
        )
        return make_response(page, status)


def _inside(wanted: str) -> str:
    """Where to go after signing in: an address of the console, else the overview."""
    return wanted if _INSIDE.fullmatch(wanted) else url_for("console.overview")
