"""The door: sign in with a password and, where there is one, a second factor; sign out; choose a language."""

import re
from http import HTTPStatus

from flask import Blueprint, g, make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from headend.console.access import secret
from headend.console.entrance import SignInRefusedError
from headend.console.factors import NoFactorError
from headend.console.frame import LANGUAGE_COOKIE, Frame, current
from headend.console.guard import Guard
from headend.kit.language import LANGUAGES, N_

_INSIDE = re.compile(r"/console/(?!/)[^\\\s]*")
_FORM_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_WRONG = N_("Name and password do not fit, or there were too many attempts. After five, wait 15 minutes.")
_WRONG_CODE = N_(
    "The code does not fit or was used before, or there were too many attempts. After five, wait 15 minutes."
)


class Door:
    """The pages of the door."""

    def __init__(self, frame: Frame, guard: Guard) -> None:
        self._frame = frame
        self._guard = guard

    def install(self, blueprint: Blueprint) -> None:
        """Give the pages their addresses."""
        blueprint.add_url_rule("/sign-in", "sign_in", self.sign_in)
        blueprint.add_url_rule("/sign-in", "try_sign_in", self.try_sign_in, methods=["POST"])
        blueprint.add_url_rule("/sign-in/code", "second_step", self.second_step)
        blueprint.add_url_rule("/sign-in/code", "try_second_step", self.try_second_step, methods=["POST"])
        blueprint.add_url_rule("/sign-out", "sign_out", self.sign_out, methods=["POST"])
        blueprint.add_url_rule("/language", "choose_language", self.choose_language, methods=["POST"])

    def sign_in(self) -> Response:
        """The form; somebody signed in goes on to the overview."""
        if g.signed is not None:
            return redirect(url_for("console.overview"), HTTPStatus.SEE_OTHER)
        return self._form("sign_in.html", "", HTTPStatus.OK)

    def try_sign_in(self) -> Response:
        """Begin a sign-in, or go on to the second factor."""
        self._guard.check_form(request.cookies.get(self._guard.form_cookie, ""))
        name = request.form.get("name", "").strip()
        try:
            opened = self._frame.entrance.sign_in(
                name, request.form.get("password", ""), request.remote_addr or ""
            )
        except SignInRefusedError as refusal:
            self._frame.tally.add(refusal.name)
            return self._form("sign_in.html", _WRONG, refusal.status)
        if not opened.half:
            return self._enter(opened.cookie)
        wanted = request.form.get("next", "") or None
        answer = redirect(url_for("console.second_step", next=wanted), HTTPStatus.SEE_OTHER)
        self._guard.set_cookie(answer, self._guard.half_cookie, opened.cookie)
        return answer

    def second_step(self) -> Response:
        """The form for the code; without a half-done sign-in one begins at the password."""
        if self._frame.entrance.half(request.cookies.get(self._guard.half_cookie, "")) is None:
            return redirect(url_for("console.sign_in"), HTTPStatus.SEE_OTHER)
        return self._form("second_step.html", "", HTTPStatus.OK)

    def try_second_step(self) -> Response:
        """Make the half-done sign-in a whole one."""
        self._guard.check_form(request.cookies.get(self._guard.form_cookie, ""))
        half, code = request.cookies.get(self._guard.half_cookie, ""), request.form.get("code", "")
        try:
            cookie = self._frame.entrance.second_step(half, code, request.remote_addr or "")
        except NoFactorError as refusal:
            self._frame.tally.add(refusal.name)
            return redirect(url_for("console.sign_in"), HTTPStatus.SEE_OTHER)
        except SignInRefusedError as refusal:
            self._frame.tally.add(refusal.name)
            return self._form("second_step.html", _WRONG_CODE, refusal.status)
        return self._enter(cookie)

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

    def _enter(self, cookie: str) -> Response:
        """Go in with a fresh cookie; a sign-in that was there ends."""
        if g.signed is not None:
            self._frame.access.sign_out(g.signed)
        answer = redirect(_inside(request.form.get("next", "")), HTTPStatus.SEE_OTHER)
        self._guard.set_cookie(answer, self._guard.cookie, cookie)
        self._guard.drop_cookie(answer, self._guard.form_cookie)
        self._guard.drop_cookie(answer, self._guard.half_cookie)
        return answer

    def _form(self, template: str, wrong: str, status: HTTPStatus) -> Response:
        token = request.cookies.get(self._guard.form_cookie, "")
        if not _FORM_TOKEN.fullmatch(token):
            token = secret(self._frame.random_bytes)
        page = self._frame.show(
            template,
            N_("Sign in"),
            form_token=token,
            wrong=self._frame.language().text(wrong),
            wanted=request.values.get("next", ""),
        )
        answer = make_response(page, status)
        self._guard.set_cookie(answer, self._guard.form_cookie, token)
        return answer


def _inside(wanted: str) -> str:
    """Where to go after signing in: an address of the console, else the overview."""
    return wanted if _INSIDE.fullmatch(wanted) else url_for("console.overview")
