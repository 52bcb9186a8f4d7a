"""The console's store over both engines: sign-ins, second factors, attempts and the audit answer the same."""

from dataclasses import replace

import pytest

from headend.console.engines import open_store
from headend.console.store import (
    Action,
    Attempts,
    AuditLine,
    ConsoleStore,
    ConsoleTx,
    Cookie,
    HalfSignIn,
    Operator,
    Role,
    SecondFactor,
    SignIn,
    Sought,
)
from tests.contracts.recorded import RecordedStore, methods, replay, rows


def hashed(number):
    return bytes([number]) * 32


def sign_in_people(tx):
    for number, (name, role) in enumerate(zip(("alice", "bob", "zoë"), Role, strict=False), 1):
        tx.put_operator(Operator(name, role, "scrypt:1", False, True, number, None))  # noqa: FBT003 (columns)
        for one in range(3):
            place = 10 * number + one
            tx.add_sign_in(SignIn(hashed(place), name, f"csrf-{place}", place, place, "127.0.0.1"))
        tx.add_half_sign_in(HalfSignIn(hashed(200 + number), name, number))
        tx.put_second_factor(SecondFactor(name, b"sealed", number, number))
    tx.put_operator(replace(tx.operator("bob"), disabled=True, last_sign_in_ms=9))
    tx.put_second_factor(SecondFactor("bob", b"sealed anew", 7, 8))
    tx.renew_cookie(hashed(10), Cookie(hashed(99), hashed(10), 11))
    tx.see_sign_in(hashed(10), 50), tx.offer_factor(hashed(11), b"offered"), tx.offer_factor(hashed(12), None)
    tx.require_factors(frozenset({"admin"})), tx.require_factors(frozenset({"billing", "analyst"}))
    tx.put_attempts("alice", Attempts(1, 5)), tx.put_attempts("alice", Attempts(2, 6))
    tx.put_attempts("127.0.0.1", Attempts(4, 1))


def write_audit(tx):
    for number in range(20):
        about = ("", "acc-1", "acc-1 acc-2")[number % 3]
        who = ("alice", "bob")[number % 2]
        action = list(Action)[number % len(Action)]
        tx.write_audit(AuditLine(number // 2, who, action, f"what-{number}", "é", about))


def look_at(look):
    look.operators(), look.with_factors(), look.required_factors(), look.audit_chain()
    for name in ("alice", "bob", "zoë", "nobody", ""):
        look.operator(name), look.sign_ins_of(name), look.second_factor(name), look.attempts(name)
    for number in range(256):
        look.sign_in(hashed(number)), look.cookie(hashed(number)), look.half_sign_in(hashed(number))
    for action in (None, *Action):
        (
            look.audit(Sought(5, action=action)),
            look.audit(Sought(3, action=action, operator="bob", before=(5, 9))),
        )
        if action is not None:
            look.count_audit(action, 4)
    for sought in (
        Sought(50, people=True),
        Sought(4, account="acc-1"),
        Sought(4, account="acc-1", before=(6, 13), operator="alice"),
        Sought(50, from_ms=3, until_ms=6),
        Sought(50, people=True, account="acc-2", from_ms=1),
    ):
        look.audit(sought)


def forget(tx):
    tx.end_sign_in(hashed(11)), tx.end_sign_ins_of("bob", hashed(20)), tx.end_half_sign_in(hashed(201))
    (
        tx.forget_sign_ins(31, 32),
        tx.forget_half_sign_ins(3),
        tx.forget_attempts(3),
        tx.drop_second_factor("bob"),
    )


def break_off(tx):
    write_audit(tx)
    raise ZeroDivisionError


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    store = RecordedStore(open_store(tmp_path_factory.mktemp("console") / "console.db", simulated=False))
    store.write(sign_in_people)
    store.write(write_audit)
    with pytest.raises(ZeroDivisionError):
        store.write(break_off)
    look_at(store.read())
    store.write(forget)
    look_at(store.read())
    yield store
    store.close()


def test_the_console_s_store_is_asked_everything_that_it_promises(life):
    assert methods(ConsoleTx, ConsoleStore) - life.names() - {"read"} == {"measured"}


def test_the_console_answers_the_same_and_leaves_the_same_rows_over_postgresql(life, fresh):
    store = open_store(fresh("console"), simulated=False)
    replay(life.turns, store)
    assert rows(store) == rows(life.over)
    store.close()
