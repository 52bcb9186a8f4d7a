"""What stands before and after every console page: transport, sign-in, forms, headers.

Before a page, in this order: (1) encrypted, or loopback; (2) the body and the query are small; (3) somebody
is signed in, by a cookie that was made here and not copied; (4) a form carries the sign-in's own token and
comes from these pages; (5) a password that an admin chose has been changed, and a second factor is there
where the role needs one. After it: the cookie is renewed where it is time, and headers allow this origin's
styles and pictures, and no more. What breaks (3) or (4) stands in the audit; what breaks any is counted.
"""

import hmac
import ipaddress
from http import HTTPStatus
from itertools import chain
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from headend.console.access import Signed, Stranger
from headend.console.frame import Frame
from headend.console.store import Action
from headend.kit.http import RefusedError

MAX_FORM = 16 * 1024
MAX_ARGUMENTS = 20
MAX_ARGUMENT = 200
STATIC = "console.static"
OPEN = frozenset(
    {
        STATIC,
        "console.sign_in",
        "console.try_sign_in",
        "console.second_step",
        "console.try_second_step",
        "console.choose_language",
    }
)
HELD = frozenset(
    {
        "console.yourself",
        "console.change_password",
        "console.offer_factor",
        "console.confirm_factor",
        "console.sign_out",
    }
)
"""What somebody may open whose password is not their own yet, or whose role needs a second factor."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "X-Permitted-Cross-Domain-Policies": "none",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
ENCRYPTED_ONLY = {"Strict-Transport-Security": "max-age=31536000"}
"""A browser that has seen the console behind TLS asks for it in the clear no more, for a year."""


class NotEncryptedError(RefusedError):
    """The console is served in the clear on loopback only."""

    name = "not-encrypted"
    status = HTTPStatus.FORBIDDEN


class FormTokenError(RefusedError):
    """The form did not come from a page of this sign-in; open the page again and send it from there."""

    name = "form-token"
    status = HTTPStatus.FORBIDDEN


class TooManyArgumentsError(RefusedError):
    """The query is longer than any page needs."""

    name = "query-too-long"
    status = HTTPStatus.REQUEST_URI_TOO_LONG


class Guard:
    """The checks over one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        secure = frame.settings.secure_cookies
        # A name that begins with __Host- is accepted from this host only, never from a neighbour domain.
        self.cookie = "__Host-console" if secure else "console"
        self.form_cookie = "__Host-console-form" if secure else "console-form"
        self.half_cookie = "__Host-console-half" if secure else "console-half"
        self._headers = {**HEADERS, **(ENCRYPTED_ONLY if secure else {})}

    def install(self, blueprint: Blueprint) -> None:
        """Stand before and after the blueprint's pages."""
        blueprint.before_request(self.before)
        blueprint.after_request(self.after)

    def before(self) -> AnyResponse | None:
        """The checks (1) to (5); gives an answer where the page is not to be shown.

        Raises:
            RefusedError: the request breaks a rule.
        """
        request.max_content_length = MAX_FORM
        g.signed = g.cookie = None
        self._check_transport()
        _check_query()
        _check_texts()
        if request.endpoint == STATIC:
            return None
        g.signed = self._recognise()
        if request.endpoint in OPEN:
            return None
        if g.signed is None:
            self._frame.tally.add("not-signed-in")
            return _to_sign_in()
        if request.method == "POST":
            self.check_form(g.signed.sign_in.csrf)
        g.cookie = self._frame.access.renew(g.signed)
        if g.signed.held and request.endpoint not in HELD:
            return redirect(url_for("console.yourself"), HTTPStatus.SEE_OTHER)
        return None

    def after(self, answer: Response) -> Response:
        """Set the headers; pages are stored nowhere, the style sheet is named by its content."""
        answer.headers.update(self._headers)
        kept = request.endpoint == STATIC and answer.status_code < HTTPStatus.BAD_REQUEST
        answer.headers["Cache-Control"] = "public, max-age=86400" if kept else "no-store"
        # What a page has said of the cookie itself, such as that somebody signed out, stands.
        said = any(line.startswith(f"{self.cookie}=") for line in answer.headers.getlist("Set-Cookie"))
        if g.get("cookie") and not said:
            self.set_cookie(answer, self.cookie, g.cookie)
        elif g.get("strange") and not said:
            self.drop_cookie(answer, self.cookie)
        return answer

    def check_form(self, token: str) -> None:
        """That a form carries `token`, and that the browser does not say that another site sent it.

        Raises:
            FormTokenError: it does not; the attempt stands in the audit.
        """
        sent = request.form.get("csrf", "")
        fits = bool(token) and hmac.compare_digest(sent.encode(), token.encode())
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if fits and site == "same-origin":
            return
        what, why = _path(), "no token of this sign-in" if not fits else f"sent from elsewhere: {site[:20]}"
        if g.signed is None:
            address = request.remote_addr or ""
            self._frame.access.refuse_stranger(Action.FORM_REFUSED, what, why, address)
        else:
            self._frame.access.note(g.signed, Action.FORM_REFUSED, what, why)
        raise FormTokenError("Open the page again and send the form from there.")

    def set_cookie(self, answer: AnyResponse, name: str, value: str) -> None:
        """A cookie for this host, for as long as the browser is open, out of reach of scripts and sites."""
        answer.set_cookie(
            name,
            value,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self._frame.settings.secure_cookies,
        )

    def drop_cookie(self, answer: AnyResponse, name: str) -> None:
        """Take a cookie back."""
        answer.delete_cookie(
            name, path="/", httponly=True, samesite="Strict", secure=self._frame.settings.secure_cookies
        )

    def _recognise(self) -> Signed | None:
        found = self._frame.access.recognise(request.cookies.get(self.cookie, ""))
        if isinstance(found, Signed):
            return found
        g.strange = found is not Stranger.NONE
        if found is Stranger.UNKNOWN:
            address = request.remote_addr or ""
            self._frame.access.refuse_stranger(
                Action.COOKIE_REFUSED, _path(), "not made here, or ended", address
            )
        if found in {Stranger.UNKNOWN, Stranger.COPIED}:
            self._frame.tally.add(f"cookie-{found.value}")
        return None

    def _check_transport(self) -> None:
        # The host's name is looked at too: a name of somebody else's may be made to point to loopback.
        loopback = _is_loopback(request.remote_addr) and _is_loopback(urlsplit(f"//{request.host}").hostname)
        if not self._frame.settings.secure_cookies and not loopback:
            raise NotEncryptedError("In the clear, the console answers on loopback only.")


def _check_query() -> None:
    arguments = request.args.to_dict()
    if len(arguments) > MAX_ARGUMENTS or any(len(k) + len(v) > MAX_ARGUMENT for k, v in arguments.items()):
        raise TooManyArgumentsError("The address asks for more than a page takes.")


def _check_texts() -> None:
    """No text of a person's has U+0000, which not every database keeps; BadRequest ends the request."""
    named = chain(request.args.items(), request.form.items())
    said = (request.path, *chain.from_iterable(named))
    if any("\0" in text for text in said):
        abort(HTTPStatus.BAD_REQUEST)


def _path() -> str:
    return request.path.removeprefix("/console/")[:MAX_ARGUMENT]


def _to_sign_in() -> AnyResponse:
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("console.sign_in", next=wanted), HTTPStatus.SEE_OTHER)


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
