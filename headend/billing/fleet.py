"""What the console asks of billing's database about boxes: when each was heard, how far it is, its alarms.

All of it comes from the named line. Nothing about viewing is known here.
"""

from dataclasses import dataclass
from typing import Protocol

from headend.billing.rows import Alarm, ChainEnd, OrderRow


@dataclass(frozen=True)
class Sighting:
    """A box in the fleet: whose it is, when it was last heard (Unix milliseconds), and what software it runs.

    `bound` is False once it has been released; `agent` is empty until it has said.
    """

    box: str
    serial: str
    account: str
    epoch: int
    enrolled_ms: int
    bound: bool
    heard_ms: int
    agent: str


@dataclass(frozen=True)
class ChosenBoxes:
    """Which boxes are wanted: heard within [from, until), and of a version if it is not None."""

    from_ms: int = 0
    until_ms: int = 1 << 62
    agent: str | None = None
    bound: bool = True


@dataclass(frozen=True)
class Said:
    """One message of a box's chain, without its bytes, with the order that it placed."""

    epoch: int
    seq: int
    kind: str
    received_ms: int
    signed: bool
    order: OrderRow | None


class FleetTx(Protocol):
    """The part of a transaction, or of a look, that knows the fleet."""

    def heard_since(self, from_ms: int) -> int:
        """How many bound boxes have been heard since an instant; reads only those."""
        ...

    def silent_since(self, from_ms: int) -> int:
        """How many bound boxes have not been heard since an instant; reads only those."""
        ...

    def bound_boxes(self) -> int:
        """How many boxes are bound, as counted while they were bound and released."""
        ...

    def agents(self) -> list[tuple[str, int]]:
        """Bound boxes by the version of their software, most first, as counted while they told it."""
        ...

    def recount_agents(self) -> list[tuple[str, int]]:
        """The same, from every box."""
        ...

    def sighting(self, box: str) -> Sighting | None:
        """One box."""
        ...

    def boxes_page(self, chosen: ChosenBoxes, before: tuple[int, str] | None, limit: int) -> list[Sighting]:
        """Boxes, the last heard first, before one's (heard, box)."""
        ...

    def epochs_of(self, box: str) -> list[ChainEnd]:
        """A box's epochs, newest first."""
        ...

    def said_page(self, box: str, before: tuple[int, int] | None, limit: int) -> list[Said]:
        """What a box has said on the named line, newest first, before an (epoch, seq)."""
        ...

    def alarm_kinds(self) -> list[tuple[str, int]]:
        """How many alarms there are of each kind."""
        ...

    def alarms_since(self, from_ms: int) -> int:
        """How many alarms have been raised since an instant."""
        ...

    def alarms_page(self, kind: str, before: int | None, limit: int) -> list[tuple[int, Alarm]]:
        """Alarms of a kind (empty: of every kind), newest first, each with its number."""
        ...

    def alarms_about(self, what: str, name: str, limit: int) -> list[tuple[int, Alarm]]:
        """The newest alarms about a box or an account (`what` says which)."""
        ...
