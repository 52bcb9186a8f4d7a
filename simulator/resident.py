"""One box of the town with its agent, and what the truth keeps of it and of its orders."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from box_agent.app import Agent
from box_agent.settings import BoxSettings
from shared.clock import ManualClock
from simulator.old_box import OldAgent
from simulator.remote import RemoteAgent
from simulator.town import Box, Household
from simulator.truth import Truth


@dataclass(frozen=True)
class Placed:
    """An order that an agent said yes to: its place, what the screen showed, and whose box it was then.

    Money in whole cents including VAT; the credit is what a promotion took off. `version` is the protocol's.
    """

    box: str
    epoch: int
    seq: int
    account: str
    price_cents: int
    credit_cents: int
    placed_ms: int
    version: int

    @property
    def ref(self) -> str:
        """The order's identity, as the headend writes it."""
        return f"{self.box}/{self.epoch}/{self.seq}"


@dataclass
class Account:
    """What a worker tells at the end.

    `unpaid` names the orders that failed or were stopped in their preview, with the outcome.
    """

    placed: list[Placed] = field(default_factory=list)
    unpaid: dict[str, str] = field(default_factory=dict)
    truth: Truth = field(default_factory=dict)
    fragments: Counter[str] = field(default_factory=Counter)
    sent_while_refused: int = 0
    kills: int = 0
    mishaps: Counter[str] = field(default_factory=Counter)
    events: int = 0
    refused_without_pin: int = 0
    box_days: int = 0
    consenting: int = 0
    moved: int = 0
    resold: int = 0
    updated: int = 0


class SkewedClock:
    """A box's own clock: the worker's, some milliseconds ahead or behind."""

    def __init__(self, true: ManualClock, skew_ms: int) -> None:
        self._true = true
        self._skew = timedelta(milliseconds=skew_ms)

    def now(self) -> datetime:
        """What the box believes."""
        return self._true.now() + self._skew

    def monotonic(self) -> float:
        """Seconds since the worker began."""
        return self._true.monotonic()


@dataclass
class Resident:
    """One box with its agent and what the truth keeps of it.

    `refs` are the purchases whose outcome is not told yet: the order's place, and whether it was a new one.
    `accounts` are those that the box was bound to, each with the first Unix millisecond.
    """

    household: Household
    box: Box
    settings: BoxSettings
    agent: Agent | RemoteAgent
    skew_ms: int
    refs: dict[str, tuple[int, bool]] = field(default_factory=dict)
    kept: list[tuple[int, bytes]] = field(default_factory=list)
    ordered: list[tuple[int, str]] = field(default_factory=list)
    enrolled: tuple[str, int] = ("", 0)
    accounts: list[tuple[int, str]] = field(default_factory=list)
    consents: bool = False
    refused_from: list[int] = field(default_factory=list)
    granted_from: list[int] = field(default_factory=list)

    @property
    def remote(self) -> RemoteAgent | None:
        """Its agent, if that is a process of its own."""
        return self.agent if isinstance(self.agent, RemoteAgent) else None

    @property
    def old(self) -> bool:
        """Whether it speaks the version of the protocol before."""
        return isinstance(self.agent, OldAgent)

    def covered(self, start_ms: int, end_ms: int) -> bool:
        """Whether consent stood from before the start to the end."""
        granted = [at for at in self.granted_from if at <= start_ms]
        return bool(granted) and not any(max(granted) < at < end_ms for at in self.refused_from)

    def account_at(self, placed_ms: int) -> str:
        """The account that the box was bound to at a moment of its own clock."""
        return next(
            (account for since, account in reversed(self.accounts) if since <= placed_ms),
            self.accounts[0][1],
        )

    def place(self, seq: int) -> str:
        """The reference of an order of the present epoch."""
        box, epoch = self.enrolled
        return f"{box}/{epoch}/{seq}"

    def settled(self) -> bool:
        """Whether the headend has acknowledged all that this box has chained."""
        if isinstance(self.agent, RemoteAgent):
            return False
        named: dict[str, Any] = self.agent.status()["named"]
        return bool(named["acknowledged"] == named["last_seq"])
