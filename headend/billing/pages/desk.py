"""The desk at which billing's pages are made: books, clock, what needs keys, and small things of forms."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, TypeVar

from headend.billing.pages.telling import Telling
from headend.billing.rows import Batch, OrderRow
from headend.billing.store import BillingStore, BillingTx
from headend.billing.verifying import ReadHead
from headend.kit import pages
from headend.kit.jobs import Slot
from headend.kit.side import Page, Visit
from shared.errors import StbError

BILLING: Final = frozenset({"billing"})
"""The role that sees what subscribers ordered and owe."""
ROWS: Final = 50
"""Rows of a page."""
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
MOST_WHY: Final = 500
"""Characters of a reason."""
T = TypeVar("T")
_REF = re.compile(r"([^/]{1,64})/([0-9]{1,18})/([0-9]{1,18})")
_NUMBER = re.compile(r"[0-9]{1,18}")


class BadAddressError(StbError):
    """The address of this page asks for something that there is not."""


class BadFormError(StbError):
    """Something in the form is missing or cannot be read; nothing was changed."""


class _UndoneError(Exception):
    """Carries what a try gave out of the transaction that is undone."""

    def __init__(self, given: object) -> None:
        super().__init__()
        self.given = given


@dataclass(frozen=True)
class Desk:
    """What billing's pages work with; times are Unix milliseconds.

    `prove` makes an order's proof, `head_of` a batch's signed head as a receiver reads it, `signed_head` its
    bytes; `next_bills` is when bills are raised next.
    """

    store: BillingStore
    now_ms: Callable[[], int]
    prove: Callable[[BillingTx, str], bytes]
    head_of: ReadHead
    signed_head: Callable[[Batch], bytes]
    random_bytes: Callable[[int], bytes]
    next_bills: Callable[[], Slot]

    def page(self, visit: Visit, template: str, **values: object) -> str:
        """One of billing's templates for a visit; it sees `tell`, which names things."""
        telling = Telling(visit.language)
        return pages.render("headend.billing", f"billing/{template}", visit, tell=telling, **values)

    def tried(self, work: Callable[[BillingTx], T]) -> T:
        """What `work` would give, with nothing stored of it.

        Raises:
            StbError: as `work`.
        """

        def undone(tx: BillingTx) -> None:
            raise _UndoneError(work(tx))

        try:
            self.store.write(undone)
        except _UndoneError as found:
            given: T = found.given  # type: ignore[assignment] # it is what `work` has just given
            return given
        raise AssertionError("a try always ends undone")


def place_of(ref: str) -> tuple[str, int, int]:
    """Box, epoch and seq of an order's reference.

    Raises:
        BadAddressError: it is none.
    """
    found = _REF.fullmatch(ref)
    if found is None:
        raise BadAddressError(f"{ref[:80]!r} is not of the form box/epoch/seq")
    return found[1], int(found[2]), int(found[3])


def order_at(look: BillingTx, ref: str) -> OrderRow | None:
    """The order of a reference, if there is one; None of anything that is no reference too."""
    found = _REF.fullmatch(ref)
    return None if found is None else look.order(found[1], int(found[2]), int(found[3]))


def number_in(visit: Visit, name: str) -> int | None:
    """A whole number among the arguments; None where there is none.

    Raises:
        BadAddressError: there is something else.
    """
    text = visit.arg(name)
    if not text:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise BadAddressError(f"{name} is a number, not {text[:40]!r}")
    return int(text)


def place_in(visit: Visit, name: str) -> tuple[int, int] | None:
    """Two whole numbers with a dot between them among the arguments; None where there is nothing.

    Raises:
        BadAddressError: there is something else.
    """
    text = visit.arg(name)
    if not text:
        return None
    first, _, second = text.partition(".")
    if _NUMBER.fullmatch(first) is None or _NUMBER.fullmatch(second) is None:
        raise BadAddressError(f"{name} is a place in a list, not {text[:40]!r}")
    return int(first), int(second)


def why_in(visit: Visit) -> str:
    """The reason that a form gives.

    Raises:
        BadFormError: there is none, or it is too long.
    """
    why = visit.arg("why")
    if not why:
        raise BadFormError(visit.language.text("Give a reason: it stands in the audit."))
    if len(why) > MOST_WHY:
        raise BadFormError(visit.language.text("A reason has {most} characters at the most.", most=MOST_WHY))
    return why


def why_not(visit: Visit, error: StbError) -> str:
    """A refusal as the page tells it."""
    return str(error) if isinstance(error, BadFormError) else visit.language.refusal(error)


def refused(page: Page) -> Page:
    """The page of a form that was refused."""
    return replace(page, status=HTTPStatus.BAD_REQUEST)


def picked(args: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The fields whose names begin with `prefix`, by what follows it."""
    return {name.removeprefix(prefix): value for name, value in args.items() if name.startswith(prefix)}
