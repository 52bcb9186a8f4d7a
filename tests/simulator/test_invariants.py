from collections import Counter

import pytest

from simulator.invariants import Books, adds_up, not_paid, whose
from simulator.resident import Account, Placed

SHOWN = {"b/1/1": (499, 0), "b/1/2": (499, 200)}


def bill(*lines: tuple[str, str, int], kind: str = "invoice", **changes: object) -> dict[str, object]:
    gross = sum(cents for _, _, cents in lines)
    parts = {"gross": gross, "net": gross - 100, "vat": 99, "rounding": 1}
    told = [{"order_ref": ref, "kind": word, "cents": cents} for ref, word, cents in lines]
    return {"kind": kind, "lines": told, "groups": [parts], **parts, **changes}


PLAIN = ("b/1/1", "order", 499)
REDUCED = (("b/1/2", "order", 499), ("b/1/2", "promotion", -200))


def test_a_bill_of_what_was_shown_adds_up() -> None:
    assert adds_up(bill(PLAIN, *REDUCED), SHOWN)


def test_a_bill_of_unknown_orders_adds_up_by_itself() -> None:
    assert adds_up(bill(("x/1/1", "order", 1)), SHOWN)


@pytest.mark.parametrize(
    "wrong",
    [
        bill(("b/1/1", "order", 500)),
        bill(REDUCED[0]),
        bill(REDUCED[0], ("b/1/2", "promotion", -199)),
        bill(("b/1/2", "order", 299)),
        bill(PLAIN, ("b/1/1", "promotion", -100)),
        bill(PLAIN, PLAIN),
        bill(PLAIN, vat=98),
        bill(PLAIN, gross=500),
        bill(PLAIN, groups=[]),
    ],
    ids=["price", "no promotion", "credit", "netted", "given", "twice", "parts", "gross", "groups"],
)
def test_anything_else_on_a_bill_is_found(wrong: dict[str, object]) -> None:
    assert not adds_up(wrong, SHOWN)


def test_a_credit_note_gives_back_what_was_left() -> None:
    assert adds_up(bill(("b/1/2", "order", 299), kind="credit-note"), SHOWN)
    assert not adds_up(bill(("b/1/2", "order", 499), kind="credit-note"), SHOWN)


def stands(state: str, account: str = "A1") -> Books:
    return Books([{"ref": "b/1/1", "state": state, "account": account}], {}, [], [], Counter())


@pytest.mark.parametrize("state", ["zero-rated", "credited", "suspended", "rejected", "rated", "billed"])
def test_what_was_stopped_may_not_be_paid(state: str) -> None:
    account = Account(unpaid={"b/1/1": "stopped"})
    assert not_paid(account, stands(state)).holds == (state not in {"rated", "billed"})


@pytest.mark.parametrize("account", ["A1", "A2"])
def test_an_order_has_to_stand_under_the_account_of_its_box(account: str) -> None:
    placed = Account(placed=[Placed("b", 1, 1, "A1", 499, 0, 0, 2)])
    assert whose(placed, stands("billed", account)).holds == (account == "A1")
