"""What the pages call things: states, reasons, classes, alarms, in the visit's language."""

import re
from typing import Final

from headend.billing.rating import Reason
from headend.billing.rows import DisputeState, OrderRow, OrderState
from headend.kit.language import N_, Language

STATES: Final = {
    OrderState.RATED: N_("not yet due"),
    OrderState.ZERO_RATED: N_("zero-rated"),
    OrderState.SUSPENDED: N_("suspended"),
    OrderState.REJECTED: N_("rejected"),
    OrderState.BILLED: N_("billed"),
    OrderState.CREDITED: N_("credited"),
}
REASONS: Final = {
    Reason.UNREADABLE: N_("message cannot be read"),
    Reason.UNKNOWN_OFFER: N_("unknown offer"),
    Reason.OFFER_NOT_VALID: N_("offer was not valid then"),
    Reason.PRICE_MISMATCH: N_("price is not the offer's"),
    Reason.CURRENCY_MISMATCH: N_("currency is not the offer's"),
    Reason.VAT_MISMATCH: N_("VAT rate is not the offer's"),
    Reason.VAT_NOT_IN_FORCE: N_("VAT rate was not in force"),
    Reason.NO_EVIDENCE: N_("no evidence of consent or PIN"),
    Reason.UNKNOWN_PROMOTION: N_("unknown promotion"),
    Reason.PROMOTION_NOT_VALID: N_("promotion was not valid then"),
    Reason.PROMOTION_MISMATCH: N_("credit is not the promotion's"),
    Reason.PROMOTION_USED_UP: N_("promotion was used up"),
    Reason.UNBOUND: N_("box belonged to nobody"),
    Reason.OPEN_WINDOW: N_("played within a window that is paid"),
    Reason.SUBSCRIPTION: N_("part of a subscription, or free"),
    Reason.DELIVERY_FAILED: N_("could not be viewed"),
    Reason.STOPPED_IN_PREVIEW: N_("stopped within its preview"),
    Reason.DELIVERY_REPORT: N_("no order, but a delivery report"),
}
CLASSES: Final = {"film": N_("film"), "game": N_("game"), "on demand": N_("on demand")}
DOCUMENTS: Final = {"invoice": N_("bill"), "credit-note": N_("credit note")}
ENTRIES: Final = {
    "usage": N_("usage"),
    "promotion": N_("promotion"),
    "usage-reversal": N_("usage taken back"),
    "promotion-reversal": N_("promotion taken back"),
    "invoice": N_("bill"),
    "credit-note": N_("credit note"),
}
MESSAGES: Final = {
    "order": N_("order"),
    "delivery": N_("delivery"),
    "unreadable": N_("cannot be read"),
}
ALARMS: Final = {
    "gap": N_("gap in a chain"),
    "fork": N_("chain forked"),
    "equivocation": N_("two messages for one place"),
    "velocity": N_("very many orders in a day"),
    "over-limit": N_("over the spending limit"),
    "wrong-binding": N_("box bound elsewhere"),
    "not-credited": N_("delivery of an order that can be credited no more"),
    "not-decided": N_("message that could not be decided on"),
}
VERDICTS: Final = {
    "ok": N_("holds"),
    "gap": N_("entries are missing"),
    "chain": N_("does not hold: hashes"),
    "totals": N_("does not hold: totals"),
    "signature": N_("does not hold: signature"),
    "unreadable": N_("cannot be read"),
}
DISPUTES: Final = {
    DisputeState.OPEN: N_("open"),
    DisputeState.UPHELD: N_("upheld"),
    DisputeState.DISMISSED: N_("dismissed"),
}
LEDGERS: Final = {
    "unbilled": N_("unbilled receivable"),
    "usage": N_("usage"),
    "receivable": N_("receivable"),
    "revenue": N_("revenue"),
    "vat": N_("VAT payable"),
    "rounding": N_("rounding"),
}
DEEDS: Final = {
    "order rejected": N_("order rejected"),
    "order readmitted": N_("order readmitted"),
    "order corrected": N_("order corrected"),
    "message read again": N_("message read again"),
    "order proven": N_("proof of the order given"),
    "bill credited": N_("bill credited"),
    "invoice written": N_("bill written as a file"),
    "dispute opened": N_("dispute opened"),
    "dispute upheld": N_("dispute upheld"),
    "dispute dismissed": N_("dispute dismissed"),
    "box moved": N_("box moved"),
    "box released": N_("box released"),
    "enrolled": N_("box enrolled"),
    "export batch closed": N_("batch closed"),
    "export batch verified": N_("batch verified"),
    "export downloaded": N_("batch fetched"),
    "export written": N_("batch written as files"),
    "export acknowledged": N_("batch acknowledged"),
    "export key created": N_("key for exports made"),
    "export key revoked": N_("key for exports revoked"),
    "account added": N_("account added"),
    "account records given": N_("archive given"),
    "titles erased on request": N_("titles erased on request"),
    "request received": N_("request received"),
    "request extended": N_("more time taken for a request"),
    "request answered": N_("request answered"),
    "request refused": N_("request refused"),
    "catalogue published": N_("catalogue published"),
    "law set": N_("law set"),
    "seller set": N_("seller set"),
    "forgotten": N_("forgotten what was past its period"),
}
_DECIDED: Final = {
    "readmitted": N_("readmitted; it waited because: {reason}"),
    "corrected": N_("corrected; it waited because: {reason}"),
}
_DISPUTE = re.compile(r"dispute ([0-9]+)")


class Telling:
    """Names things in one language; what has no name of its own is told as it stands."""

    def __init__(self, words: Language) -> None:
        self._words = words

    def _named(self, names: "dict[str, str]", name: str) -> str:
        return self._words.text(names[name]) if name in names else name

    def state(self, state: str) -> str:
        """Where an order stands."""
        return self._named({one.value: text for one, text in STATES.items()}, state)

    def reason(self, reason: str) -> str:
        """Why an order waits, costs nothing, or was decided on."""
        verb, _, before = reason.partition(": ")
        disputed = _DISPUTE.fullmatch(reason)
        if disputed is not None:
            return self._words.text("credited after dispute {number}", number=disputed[1])
        if verb in _DECIDED and before:
            return self._words.text(_DECIDED[verb], reason=self.reason(before))
        if reason == "correction":
            return self._words.text("credited as a correction")
        return self._named({one.value: text for one, text in REASONS.items()}, reason)

    def display(self, display: str) -> str:
        """A class, as bills name it."""
        return self._named(CLASSES, display)

    def document(self, kind: str) -> str:
        """A bill or a credit note."""
        return self._named(DOCUMENTS, kind)

    def entry(self, kind: str) -> str:
        """A kind of ledger entry."""
        return self._named(ENTRIES, kind)

    def message(self, kind: str) -> str:
        """A kind of message of a chain."""
        return self._named(MESSAGES, kind)

    def alarm(self, kind: str) -> str:
        """A kind of alarm."""
        return self._named(ALARMS, kind)

    def verdict(self, verdict: str) -> str:
        """What came of a verification."""
        return self._named(VERDICTS, verdict)

    def dispute(self, state: str) -> str:
        """Where a dispute stands."""
        return self._named({one.value: text for one, text in DISPUTES.items()}, state)

    def ledger(self, name: str) -> str:
        """An account of the ledger."""
        return self._named(LEDGERS, name)

    def deed(self, what: str) -> str:
        """What billing's audit says that somebody did."""
        return self._named(DEEDS, what)

    def rate(self, basis_points: int) -> str:
        """A VAT rate, with as many decimals as it has."""
        digits = basis_points % 100
        return self._words.percent(basis_points / 10_000, 0 if not digits else 1 if digits % 10 == 0 else 2)

    def payable(self, order: OrderRow) -> str:
        """What an order costs."""
        return self._words.money(order.payable, order.currency)
