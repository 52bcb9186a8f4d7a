"""Your sign-in: a new password, a second factor, and where else one is signed in."""

from http import HTTPStatus

import segno
from flask import Blueprint, make_response, redirect, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from headend.console import second_factor
from headend.console.entrance import SignInRefusedError
from headend.console.factors import CodeRefusedError
from headend.console.frame import Frame, current
from headend.console.guard import Guard
from headend.console.passwords import LONGEST, SHORTEST
from headend.kit.http import RefusedError
from headend.kit.language import N_
from shared.errors import StbError

_HASH_BYTES = 32


class WrongPasswordError(RefusedError):
    """The password does not fit, or there were too many attempts; after five, wait 15 minutes."""

    name = "own-password"
    status = HTTPStatus.FORBIDDEN


class WrongCodeError(RefusedError):
    """The code does not fit or was used before, or there were too many attempts."""

    name = "own-code"
    status = HTTPStatus.FORBIDDEN


class NewPasswordError(RefusedError):
    """The new password was typed in two ways, or it is the old one."""

    name = "new-password"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Yourself:
    """The page of an operator's own sign-in, and what its forms do."""

    def __init__(self, frame: Frame, guard: Guard) -> None:
        self._frame = frame
        self._guard = guard

    def install(self, blueprint: Blueprint) -> None:
        """Give the page and its forms their addresses."""
        for path, name, method in (
            ("/password", "change_password", self.change_password),
            ("/second-factor/offer", "offer_factor", self.offer_factor),
            ("/second-factor/confirm", "confirm_factor", self.confirm_factor),
            ("/second-factor/off", "turn_off_factor", self.turn_off_factor),
            ("/sign-ins/end", "end_sign_ins", self.end_sign_ins),
        ):
            blueprint.add_url_rule(path, name, method, methods=["POST"])
        blueprint.add_url_rule("/password", "yourself", self.yourself)

    def yourself(self) -> Response:
        """The page."""
        return self._page()

    def change_password(self) -> Response:
        """Choose a new password: all sign-ins of the operator end and one begins."""
        name, address = current().operator.name, request.remote_addr or ""
        old, new = request.form.get("old", ""), request.form.get("new", "")
        try:
            if new in {old, ""} or new != request.form.get("again", ""):
                raise NewPasswordError("The new password is the old one, or was typed in two ways.")
            self._check_password(old)
            self._frame.operators.choose_password(name, new)
        except RefusedError as refusal:
            return self._page(password_wrong=refusal)
        answer = redirect(url_for("console.overview"), HTTPStatus.SEE_OTHER)
        self._guard.set_cookie(answer, self._guard.cookie, self._frame.entrance.begin_anew(name, address))
        return answer

    def offer_factor(self) -> Response:
        """Make a new secret, shown on the page until it is confirmed or another is made."""
        self._frame.factors.offer(current().sign_in)
        return self._to_factor()

    def confirm_factor(self) -> Response:
        """Turn on what was offered, with password and a code of it."""
        signed = current()
        try:
            self._check_password(request.form.get("password", ""))
            self._frame.factors.confirm(signed.sign_in, request.form.get("code", ""))
        except CodeRefusedError:
            return self._page(factor_wrong=WrongCodeError("The code does not fit."))
        except RefusedError as refusal:
            return self._page(factor_wrong=refusal)
        return self._to_factor()

    def turn_off_factor(self) -> Response:
        """Take the second factor away, with password and a code of it."""
        name, address = current().operator.name, request.remote_addr or ""
        try:
            self._check_password(request.form.get("password", ""))
            self._frame.entrance.check_code(name, request.form.get("code", ""), address)
        except SignInRefusedError:
            return self._page(factor_wrong=WrongCodeError("The code does not fit."))
        except RefusedError as refusal:
            return self._page(factor_wrong=refusal)
        self._frame.factors.turn_off(name)
        return self._to_factor()

    def end_sign_ins(self) -> Response:
        """End one of the operator's other sign-ins, or all of them."""
        named = request.form.get("which", "")
        if named == "others":
            self._frame.access.end_others(current(), None)
        elif len(named) == 2 * _HASH_BYTES and named.isalnum() and named.isascii():
            self._frame.access.end_others(current(), _hash(named))
        return redirect(url_for("console.yourself", _anchor="sign-ins"), HTTPStatus.SEE_OTHER)

    def _check_password(self, password: str) -> None:
        try:
            self._frame.entrance.check_password(current().operator.name, password, request.remote_addr or "")
        except SignInRefusedError as refusal:
            raise WrongPasswordError("The password does not fit.") from refusal

    def _to_factor(self) -> Response:
        return redirect(url_for("console.yourself", _anchor="second-factor"), HTTPStatus.SEE_OTHER)

    def _page(
        self, password_wrong: RefusedError | None = None, factor_wrong: RefusedError | None = None
    ) -> Response:
        words, signed = self._frame.language(), current()
        refusal = password_wrong or factor_wrong
        if refusal is not None:
            self._frame.tally.add(refusal.name)
        secret, unreadable = self._offered()
        page = self._frame.show(
            "yourself.html",
            N_("Your sign-in"),
            password_wrong="" if password_wrong is None else words.refusal(password_wrong),
            factor_wrong="" if factor_wrong is None else words.refusal(factor_wrong),
            unreadable=unreadable,
            shortest=SHORTEST,
            longest=LONGEST,
            secret="" if secret is None else second_factor.as_text(secret),
            code=None if secret is None else self._qr(secret),
            since=self._frame.factors.since().get(signed.operator.name),
            sign_ins=self._frame.access.sign_ins(signed.operator.name),
        )
        return make_response(page, HTTPStatus.OK if refusal is None else refusal.status)

    def _offered(self) -> tuple[bytes | None, bool]:
        # Asked for anew: what was offered may have been confirmed by this very request.
        found = self._frame.store.read().sign_in(current().sign_in.id_hash)
        try:
            return (None if found is None else self._frame.factors.offered(found)), False
        except StbError:
            return None, True

    def _qr(self, secret: bytes) -> Markup:
        address = second_factor.as_address(secret, current().operator.name, self._frame.settings.name)
        drawn = segno.make_qr(address, error="m")
        svg = drawn.svg_inline(omitsize=True, border=4, dark="#000", light="#fff", svgclass="qr-code")
        return Markup(svg)  # noqa: S704 (drawn here, of the secret's own letters and the operator's name)


def _hash(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
