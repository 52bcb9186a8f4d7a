"""The agent's door for the box's other software: a Unix socket, one JSON object a line each way.

Named so that it does not hide the standard library's `socket`. See docs/box.md for every operation.
"""

import contextlib
import logging
import os
import re
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from box_agent.app import Agent
from box_agent.events import Event
from box_agent.service import Service
from shared.errors import StbError
from shared.named import Evidence

MAX_LINE = 16 * 1024
MOST_CONNECTIONS = 32
"""At once; each has a thread. Whoever comes then is told so, and to come again."""
_WAITING = 128
"""Connections that wait to be accepted; one that comes then fails at once, where it could have waited."""
_LOG = logging.getLogger(__name__)
_Text = Annotated[str, Meta(min_length=1, max_length=128)]
_Language = Literal["en", "nl", "fr"]


class BadRequestError(StbError):
    """A request of another form than docs/box.md says."""


class TooManyConnectionsError(StbError):
    """So many are open that this one is closed again."""


class NotSteeredError(StbError):
    """Only a simulated box with a steered clock is ticked from outside."""


class _Op(Struct, forbid_unknown_fields=True, tag_field="op"):
    pass


class ReportEvent(_Op, tag="event"):
    """A player's event."""

    event: Event


class PlaceOrder(_Op, tag="order"):
    """An order with its evidence, and the promotion that the household chose."""

    offer: _Text
    evidence: Evidence
    promotion: _Text | None = None


class ReportDelivery(_Op, tag="delivery"):
    """Whether an order could be viewed, or was stopped."""

    order: Annotated[int, Meta(ge=1, le=2**53)]
    outcome: _Text


class SetConsent(_Op, tag="set-consent"):
    """The household's answer to a notice."""

    granted: bool
    notice: int
    how: _Text
    language: _Language | None = None


class Reminded(_Op, tag="reminded"):
    """The household was shown the notice again, and lets its consent stand."""

    how: _Text
    language: _Language | None = None


class SetPin(_Op, tag="set-pin"):
    """The PIN before the log of what was sent; `old` where there is one."""

    new: Annotated[str, Meta(max_length=64)]
    old: Annotated[str, Meta(max_length=64)] = ""


class ResetPin(_Op, tag="reset-pin"):
    """A forgotten PIN goes, and with it the log."""


class EnrolBox(_Op, tag="enrol"):
    """The code that the subscriber was given."""

    code: Annotated[str, Meta(min_length=8, max_length=64)]


class ShowConsent(_Op, tag="consent"):
    """The answer in force."""


class ShowNotice(_Op, tag="notice"):
    """The notice."""

    language: _Language | None = None


class ShowSent(_Op, tag="sent"):
    """What has left on the anonymous line, for whoever knows the PIN."""

    pin: Annotated[str, Meta(max_length=64)]
    language: _Language | None = None


class ShowOrders(_Op, tag="orders"):
    """The orders that the box remembers."""


class ShowOffers(_Op, tag="offers"):
    """The offers in force."""


class ShowPromotions(_Op, tag="promotions"):
    """The promotions in force."""


class ShowStatus(_Op, tag="status"):
    """How the agent stands."""


class Tick(_Op, tag="tick"):
    """Do what is due; with a steered clock only."""


Operation = (
    ReportEvent
    | PlaceOrder
    | ReportDelivery
    | SetConsent
    | Reminded
    | SetPin
    | ResetPin
    | EnrolBox
    | ShowConsent
    | ShowNotice
    | ShowSent
    | ShowOrders
    | ShowOffers
    | ShowPromotions
    | ShowStatus
    | Tick
)
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Operation)
_SHOW: dict[type, Callable[[Agent], object]] = {
    ShowConsent: Agent.consent,
    ShowOrders: Agent.orders,
    ShowOffers: Agent.offers,
    ShowPromotions: Agent.promotions,
}


def answer(service: Service, line: bytes) -> bytes:
    """Answer one request; a refusal has a name, is counted, and has changed nothing."""
    try:
        result = _perform(service, _read(line))
    except StbError as error:
        return _refusal(service, error)
    return _encode({"ok": True, "result": result})


def _refusal(service: Service, error: StbError) -> bytes:
    name = error_name(error)
    service.refused[name] += 1
    return _encode({"ok": False, "error": name, "detail": str(error)})


def error_name(error: StbError) -> str:
    """The name under which an error is answered and counted.

    >>> error_name(BadRequestError())
    'bad-request'
    """
    words = re.findall("[A-Z][a-z]*", type(error).__name__.removesuffix("Error"))
    return "-".join(words).lower()


def _read(line: bytes) -> object:
    if len(line) > MAX_LINE:
        raise BadRequestError(f"a request has at most {MAX_LINE} bytes")
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(str(error)) from error


def _perform(service: Service, wanted: object) -> object:
    match wanted:
        case ReportEvent(event=event):
            return {"kept": service.do(lambda agent: agent.report(event))}
        case PlaceOrder(offer=offer, evidence=evidence, promotion=promotion):
            return service.do(lambda agent: agent.place_order(offer, evidence, promotion))
        case ReportDelivery(order=order, outcome=outcome):
            return {"seq": service.do(lambda agent: agent.report_delivery(order, outcome))}
        case SetConsent(granted=granted, notice=notice, how=how, language=language):
            return service.do(
                lambda agent: agent.set_consent(granted=granted, notice=notice, how=how, language=language)
            )
        case EnrolBox() | Reminded() | SetPin() | ResetPin() | Tick():
            return _tell(service, wanted)
        case _:
            return _show(service, wanted)


def _tell(service: Service, wanted: EnrolBox | Reminded | SetPin | ResetPin | Tick) -> object:
    match wanted:
        case EnrolBox(code=code):
            return service.errand(lambda agent: agent.enrol(code))
        case Reminded(how=how, language=language):
            return service.do(lambda agent: agent.reminded(how, language))
        case SetPin(new=new, old=old):
            service.do(lambda agent: agent.set_pin(new, old))
        case ResetPin():
            service.do(Agent.reset_pin)
        case Tick():
            if not service.steered:
                raise NotSteeredError("only a steered clock is ticked from outside")
            service.tick()
    return None


def _show(service: Service, wanted: object) -> object:
    match wanted:
        case ShowStatus():
            beside = {"refused_requests": dict(service.refused), "sources": service.sources()}
            return service.do(Agent.status) | beside
        case ShowNotice(language=language):
            return service.do(lambda agent: agent.notice(language))
        case ShowSent(pin=pin, language=language):
            return service.do(lambda agent: agent.show_sent(pin, language))
        case _:
            return service.do(_SHOW[type(wanted)])


def _encode(found: dict[str, object]) -> bytes:
    return msgspec.json.encode(found) + b"\n"


class _Handler(socketserver.StreamRequestHandler):
    server: "SocketServer"

    def handle(self) -> None:
        while line := self.rfile.readline(MAX_LINE + 2):
            try:
                said = answer(self.server.service, line.rstrip(b"\n"))
            except Exception as error:  # noqa: BLE001 (whatever went wrong, an answer is owed and the agent goes on)
                _LOG.error("a request failed: %s", type(error).__name__)
                said = _encode({"ok": False, "error": "internal", "detail": "see the agent's log"})
            with contextlib.suppress(OSError):  # whoever asked may have gone
                self.wfile.write(said)
            if not line.endswith(b"\n"):
                return  # too long, or cut off: what follows would be read out of step


class SocketServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens at a path that only the agent's own user may open."""

    daemon_threads = True
    request_queue_size = _WAITING

    def __init__(self, path: Path, service: Service) -> None:
        self.service = service
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        path.unlink(missing_ok=True)  # left by a kill; the state directory's lock says nobody listens
        before = os.umask(0o177)
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (as the base says)
        """Serve a connection in a thread of its own, if there is a place for one."""
        if self._places.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except BaseException:  # no thread could be started
                self._places.release()
                raise
            return
        full = TooManyConnectionsError(f"{MOST_CONNECTIONS} connections are open")
        with contextlib.suppress(OSError):  # whoever asked may have gone; one line fits into any socket
            request.sendall(_refusal(self.service, full))
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (likewise)
        """Serve it, and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()


def ask(path: Path, request: dict[str, Any], timeout_s: float = 90.0) -> dict[str, Any]:
    """Ask a running agent.

    Raises:
        ConnectionRefusedError: nobody listens there.
        FileNotFoundError: likewise.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        connection.sendall(msgspec.json.encode(request) + b"\n")
        with connection.makefile("rb") as answers:
            found: dict[str, Any] = msgspec.json.decode(answers.readline())
            return found
