"""What a household orders on a box: the promotion that it chooses, the order, and what becomes of it."""

from dataclasses import replace
from random import Random

import msgspec

from box_agent import kept
from box_agent.ordering import MissingEvidenceError, PromotionUse
from shared.errors import StbError
from shared.named import PROTOCOL_VERSION, Evidence, Offer
from simulator.evenings import Outcome, Purchase
from simulator.old_box import OLD_VERSION
from simulator.remote import AgentRefusedError, RemoteAgent
from simulator.resident import Account, Placed, Resident

MID_ORDER_CHANCE = 0.3
"""Chance that an agent which is a process of its own is killed while it places an order."""
GOOD = Evidence(pin_verified=True, consent_immediate_supply=True, confirmation_shown=True)
NO_PIN = Evidence(pin_verified=False, consent_immediate_supply=True, confirmation_shown=True)


class Till:
    """Places the town's orders and keeps their truth in `account`."""

    def __init__(self, offers: dict[str, Offer], account: Account, random: Random) -> None:
        self._offers = offers
        self._account = account
        self._random = random

    def purchase(self, resident: Resident, wanted: Purchase) -> None:
        """Order what is wanted; without a PIN the agent must refuse."""
        offer = self._offers[wanted.offer]
        evidence = GOOD if wanted.pin_verified else NO_PIN
        placed = self._place(resident, offer, evidence, _promotion(resident, offer, wanted))
        if placed is None:
            return
        if offer.price_cents:
            # Nothing hangs on the delivery of what costs nothing.
            resident.refs[wanted.ref] = (placed.seq, not placed.repeated)
        if placed.repeated:
            return
        box, epoch = resident.enrolled
        self._account.placed.append(
            Placed(
                box=box,
                epoch=epoch,
                seq=placed.seq,
                account=resident.account_at(placed.placed_ms),
                price_cents=placed.price_cents,
                credit_cents=placed.credit_cents,
                placed_ms=placed.placed_ms,
                version=OLD_VERSION if resident.old else PROTOCOL_VERSION,
            )
        )
        if offer.genre is not None and resident.consents:
            resident.ordered.append((placed.placed_ms, offer.genre))

    def deliver(self, resident: Resident, told: Outcome) -> None:
        """Report what became of an order; a second play is not stopped, nor does an old box know how to."""
        seq, fresh = resident.refs.pop(told.ref, (0, False))
        if not seq:
            return
        outcome = told.outcome
        if outcome == "stopped" and (resident.old or not fresh):
            outcome = "confirmed"
        try:
            resident.agent.report_delivery(seq, outcome)
        except StbError as error:
            self._account.mishaps[f"delivery {type(error).__name__}"] += 1
            return
        if outcome != "confirmed":
            self._account.unpaid[resident.place(seq)] = outcome

    def _place(
        self, resident: Resident, offer: Offer, evidence: Evidence, promotion: str | None
    ) -> kept.Placed | None:
        try:
            if isinstance(resident.agent, RemoteAgent):
                return self._place_remote(resident.agent, offer.offer, evidence, promotion)
            return resident.agent.place_order(offer.offer, evidence, promotion)
        except MissingEvidenceError:
            self._account.refused_without_pin += 1
        except StbError as error:
            self._account.mishaps[f"order {type(error).__name__}"] += 1
        return None

    def _place_remote(
        self, agent: RemoteAgent, offer: str, evidence: Evidence, promotion: str | None
    ) -> kept.Placed:
        known = {order["seq"] for order in agent.orders()}
        if evidence.pin_verified and self._random.random() < MID_ORDER_CHANCE:
            agent.kill_in_mid_order(offer, evidence, promotion)
        try:
            placed = msgspec.convert(agent.place_order(offer, evidence, promotion), kept.Placed)
        except AgentRefusedError as refusal:
            if refusal.name == "missing-evidence":
                raise MissingEvidenceError(str(refusal)) from refusal
            raise
        # After a kill the order may stand although nobody was told; the screen shows it as placed then.
        return replace(placed, repeated=placed.repeated and placed.seq in known)


def _promotion(resident: Resident, offer: Offer, wanted: Purchase) -> str | None:
    """The one that takes the most off, of those that are left to this box."""
    if not wanted.reduced or resident.old:
        return None
    left = [use for use in resident.agent.promotions() if _suits(use, offer)]
    return max(left, key=lambda use: use.terms.takes_off(offer.price_cents)).terms.promotion if left else None


def _suits(use: PromotionUse, offer: Offer) -> bool:
    return offer.kind in use.terms.kinds and use.used < use.terms.per_account
