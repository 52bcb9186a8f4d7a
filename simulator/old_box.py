"""A box that has not been updated: the same agent, which speaks the version of the protocol before.

Its messages are written as version 1 wrote them, before they are signed and chained; nothing else differs.
It uses no promotions and stops nothing.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from box_agent.app import Agent
from shared.named import PROTOCOL_VERSION, Delivery, Evidence, Order

OLD_VERSION = PROTOCOL_VERSION - 1


class _Old(Struct, frozen=True, kw_only=True, tag_field="type"):
    v: int = OLD_VERSION
    box: str
    epoch: int
    seq: int
    prev: str


class OldOrder(_Old, frozen=True, tag="order"):
    """An order as version 1 declared it: without promotion."""

    offer: str
    offer_version: int
    price_cents: int
    currency: str
    vat_bp: int
    placed_ms: int
    salt: str
    evidence: Evidence


class OldDelivery(_Old, frozen=True, tag="delivery"):
    """A delivery as version 1 declared it: `confirmed` or `failed`."""

    order_seq: int
    outcome: str
    at_ms: int


def as_old(message: Any) -> Any:  # noqa: ANN401 (any message of the named line, of either version)
    """What version 1 says in a message's place; what it cannot say is left out."""
    match message:
        case Order():
            return _only(message, OldOrder)
        case Delivery():
            return _only(message, OldDelivery)
        case OldOrder() | OldDelivery():
            return message
        case _:
            return msgspec.structs.replace(message, v=OLD_VERSION)


def _only(message: Struct, form: type[_Old]) -> _Old:
    names = (field.name for field in msgspec.structs.fields(form) if field.name != "v")
    return form(**{name: getattr(message, name) for name in names})


class OldAgent(Agent):
    """An agent whose identity signs, and whose ordering chains, version 1."""

    def __init__(self, *parts: Any) -> None:  # noqa: ANN401 (what `Agent` takes)
        super().__init__(*parts)
        paths = self._open()
        sign = paths.identity.sign
        append = paths.ordering._append  # noqa: SLF001 (what is chained has to be old before it is hashed)

        def append_old(make: Callable[[Any], Any], now: int) -> int:
            return append(lambda place: as_old(make(place)), now)

        vars(paths.identity)["sign"] = lambda message: sign(as_old(message))
        vars(paths.ordering)["_append"] = append_old
