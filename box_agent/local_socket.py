"""What the box's other software may ask of the agent, apart from telling events; see docs/box.md.

Each request is one JSON object with an `op`; `box_agent.front` answers those of events.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from box_agent.app import Agent
from box_agent.consent import Answer
from box_agent.front import BadRequestError
from box_agent.owner import Owner
from box_agent.service import Service
from shared.errors import StbError
from shared.named import Evidence
from shared.words import LANGUAGES

_Text = Annotated[str, Meta(min_length=1, max_length=128)]
_Pin = Annotated[str, Meta(max_length=64)]
_Language = Annotated[str, Meta(pattern=f"^({'|'.join(LANGUAGES)})$")]


class NotSteeredError(StbError):
    """Only a simulated box with a steered clock is ticked from outside."""


class _Op(Struct, forbid_unknown_fields=True, tag_field="op"):
    pass


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

    new: _Pin
    old: _Pin = ""


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

    pin: _Pin
    language: _Language | None = None


class ShowRecorded(_Op, tag="recorded"):
    """What was viewed and not told yet, in words; likewise."""

    pin: _Pin
    language: _Language | None = None


class ShowWaiting(_Op, tag="waiting"):
    """What waits to leave, in words, and the tokens; likewise."""

    pin: _Pin
    language: _Language | None = None


class Export(_Op, tag="export"):
    """Everything that this box knows of its household, in one document; likewise."""

    pin: _Pin
    language: _Language | None = None


class Wipe(_Op, tag="wipe"):
    """Destroy what this box knows of its household; with `everything`, who it is and what was ordered too."""

    how: _Text
    everything: bool = False


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
    PlaceOrder
    | ReportDelivery
    | SetConsent
    | Reminded
    | SetPin
    | ResetPin
    | EnrolBox
    | ShowConsent
    | ShowNotice
    | ShowSent
    | ShowRecorded
    | ShowWaiting
    | Export
    | Wipe
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

_OWNERS: dict[type, Callable[[Owner, str | None], object]] = {
    ShowSent: Owner.sent,
    ShowRecorded: Owner.recorded,
    ShowWaiting: Owner.waiting,
    Export: Owner.archive,
}


def perform(service: Service, line: bytes) -> bytes:
    """Do what one request asks for; answers with its line.

    Raises:
        BadRequestError: it has another form.
        StbError: it was refused, and has changed nothing.
    """
    try:
        wanted = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(str(error)) from error
    result = _perform(service, wanted)
    if isinstance(result, Answer):
        result = result._asdict()
    return msgspec.json.encode({"ok": True, "result": result}) + b"\n"


def _perform(service: Service, wanted: object) -> object:
    match wanted:
        case PlaceOrder(offer=offer, evidence=evidence, promotion=promotion):
            return service.do(lambda agent: agent.place_order(offer, evidence, promotion))
        case ReportDelivery(order=order, outcome=outcome):
            return {"seq": service.do(lambda agent: agent.report_delivery(order, outcome))}
        case SetConsent(granted=granted, notice=notice, how=how, language=language):
            return service.do(
                lambda agent: agent.set_consent(granted=granted, notice=notice, how=how, language=language)
            )
        case EnrolBox() | Reminded() | SetPin() | ResetPin() | Wipe() | Tick():
            return _tell(service, wanted)
        case _:
            return _show(service, wanted)


def _tell(service: Service, wanted: EnrolBox | Reminded | SetPin | ResetPin | Wipe | Tick) -> object:
    match wanted:
        case EnrolBox(code=code):
            return service.errand(lambda agent: agent.enrol(code))
        case Reminded(how=how, language=language):
            return service.do(lambda agent: agent.reminded(how, language))
        case SetPin(new=new, old=old):
            service.do(lambda agent: agent.set_pin(new, old))
        case ResetPin():
            service.do(Agent.reset_pin)
        case Wipe(how=how, everything=everything):
            # An errand: what is under way on a line could still write what is to go.
            service.errand(lambda agent: agent.wipe(how, everything=everything))
        case Tick():
            if not service.steered:
                raise NotSteeredError("only a steered clock is ticked from outside")
            service.tick()
    return None


def _show(service: Service, wanted: object) -> object:
    match wanted:
        case ShowStatus():
            beside = {"refused_requests": dict(service.refused), "sources": service.sources()}
            return service.look(Agent.status) | beside
        case ShowNotice(language=language):
            return service.look(lambda agent: agent.notice(language))
        case ShowSent() | ShowRecorded() | ShowWaiting() | Export():
            return service.look(lambda agent: _OWNERS[type(wanted)](agent.owner(wanted.pin), wanted.language))
        case _:
            return service.look(_SHOW[type(wanted)])
