"""Subscribers' requests (GDPR articles 12, 15 and 17): received, answered in time, or refused with a reason.

A request is to be answered within one month of its receipt; where that is needed, within two further months,
of which the subscriber is told, with reasons, within the first (article 12(3)).
"""

from dataclasses import replace
from zoneinfo import ZoneInfo

from headend.billing import erasure
from headend.billing.deadlines import months_later
from headend.billing.erasure import Erasure
from headend.billing.rows import RequestKind, RequestState, SubscriberRequest
from headend.billing.store import BillingTx
from headend.kit.language import N_
from shared.errors import StbError

MONTHS, EXTENDED_MONTHS = 1, 3


class BadRequestError(StbError):
    """A request that cannot be received or moved on in this way; the message says why."""


def receive_request(
    tx: BillingTx, account: str, kind: RequestKind, received_ms: int, said: tuple[str, int]
) -> SubscriberRequest:
    """Note what a subscriber has asked, and when; `said` is who notes it, and now (Unix milliseconds).

    Raises:
        NotFoundError: no such account.
        BadRequestError: it was received after now, or the same is being answered already.
    """
    who, now_ms = said
    holder = tx.account(account)
    if received_ms > now_ms:
        raise BadRequestError(N_("A request cannot have been received in the future."))
    if any(one.kind is kind for one in tx.requests(RequestState.OPEN, account, 100)):
        raise BadRequestError(N_("The same request of this account is open already."))
    request = SubscriberRequest(
        request=0,
        account=holder.account,
        kind=kind,
        received_ms=received_ms,
        deadline_ms=months_later(received_ms, MONTHS, ZoneInfo(holder.zone)),
        state=RequestState.OPEN,
        decided_ms=None,
        who=who,
        note="",
    )
    numbered = tx.request(tx.add_request(request))
    tx.add_audit(now_ms, who, "request received", holder.account, f"{kind} {numbered.request}")
    return numbered


def extend_request(tx: BillingTx, number: int, why: str, said: tuple[str, int]) -> SubscriberRequest:
    """Take two further months, once, within the first; the subscriber has to be told why.

    Raises:
        NotFoundError: no such request.
        BadRequestError: it is not open, was extended before, or its first month is over.
    """
    who, now_ms = said
    request = _open(tx, number)
    deadline_ms = months_later(
        request.received_ms, EXTENDED_MONTHS, ZoneInfo(tx.account(request.account).zone)
    )
    if request.deadline_ms == deadline_ms:
        raise BadRequestError(N_("This request was extended before."))
    if now_ms >= request.deadline_ms:
        raise BadRequestError(N_("The first month is over; a request is extended within it."))
    tx.set_request(replace(request, deadline_ms=deadline_ms, note=why))
    tx.add_audit(now_ms, who, "request extended", request.account, f"{request.kind} {number}: {why}")
    return tx.request(number)


def answer_request(tx: BillingTx, number: int, said: tuple[str, int]) -> SubscriberRequest:
    """Note that a request has been answered.

    Raises:
        NotFoundError: no such request.
        BadRequestError: it is not open.
    """
    return _decide(tx, _open(tx, number), RequestState.ANSWERED, "", said)


def refuse_request(tx: BillingTx, number: int, why: str, said: tuple[str, int]) -> SubscriberRequest:
    """Note that a request is refused, and why (article 12(5)).

    Raises:
        NotFoundError: no such request.
        BadRequestError: it is not open, or nothing says why.
    """
    if not why.strip():
        raise BadRequestError(N_("A refusal says why."))
    return _decide(tx, _open(tx, number), RequestState.REFUSED, why, said)


def erase_on_request(
    tx: BillingTx, number: int, said: tuple[str, int], *, give_up_bought: bool = False
) -> Erasure:
    """Erase what may go of the account that asked, and note the request as answered.

    Raises:
        NotFoundError: no such request.
        BadRequestError: it is not open, or does not ask for erasure.
    """
    who, now_ms = said
    request = _open(tx, number)
    if request.kind is not RequestKind.ERASURE:
        raise BadRequestError(N_("This request does not ask for erasure."))
    done = erasure.erase(tx, request.account, who, now_ms, give_up_bought=give_up_bought)
    _decide(tx, request, RequestState.ANSWERED, "", said)
    return done


def _open(tx: BillingTx, number: int) -> SubscriberRequest:
    request = tx.request(number)
    if request.state is not RequestState.OPEN:
        raise BadRequestError(N_("This request has been decided."))
    return request


def _decide(
    tx: BillingTx, request: SubscriberRequest, state: RequestState, note: str, said: tuple[str, int]
) -> SubscriberRequest:
    who, now_ms = said
    tx.set_request(replace(request, state=state, decided_ms=now_ms, who=who, note=note or request.note))
    detail = f"{request.kind} {request.request}" + (f": {note}" if note else "")
    tx.add_audit(now_ms, who, f"request {state}", request.account, detail)
    return tx.request(request.request)
