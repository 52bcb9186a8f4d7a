"""Never to advertisers: nothing that leaves the headend can be cleared for one, whatever the table says."""

import ast
import copy
import dataclasses
import itertools
import pickle
from pathlib import Path

import click
import pytest

import headend
from headend import disclosure
from headend.__main__ import main
from headend.disclosure import TABLE, Cleared, DisclosureError, Kind, Purpose, Recipient, clear
from shared.field_register import declared, places

pytestmark = pytest.mark.promise

HEADEND = Path(headend.__file__).parent
EVERYTHING = list(itertools.product(Kind, Recipient, Purpose))
TO_ADVERTISERS = list(itertools.product(Kind, Purpose))


@pytest.mark.parametrize(("kind", "purpose"), TO_ADVERTISERS, ids=str)
def test_nothing_is_cleared_for_an_advertiser(kind, purpose):
    with pytest.raises(DisclosureError, match="nothing leaves to advertisers"):
        clear(b"figures", kind, Recipient.ADVERTISER, purpose)


@pytest.mark.parametrize(("kind", "purpose"), TO_ADVERTISERS, ids=str)
def test_not_even_if_somebody_enters_one_in_the_table(kind, purpose, monkeypatch):
    monkeypatch.setattr(disclosure, "TABLE", TABLE | {(kind, Recipient.ADVERTISER, purpose)})
    with pytest.raises(DisclosureError, match="nothing leaves to advertisers"):
        clear(b"figures", kind, Recipient.ADVERTISER, purpose)


def test_the_table_names_no_advertiser():
    assert not [triple for triple in TABLE if triple[1] is Recipient.ADVERTISER]


def test_what_the_table_does_not_name_is_not_cleared():
    for triple in EVERYTHING:
        if triple in TABLE:
            assert clear(b"figures", *triple).payload == b"figures"
        else:
            with pytest.raises(DisclosureError):
                clear(b"figures", *triple)


def test_nothing_but_clear_makes_something_cleared():
    with pytest.raises(DisclosureError, match="only clear"):
        Cleared(b"figures", Kind.RELEASE, Recipient.ADVERTISER, Purpose.GENRE_POPULARITY)


def test_what_is_cleared_cannot_be_readdressed():
    cleared = clear(b"figures", Kind.RELEASE, Recipient.PUBLIC, Purpose.GENRE_POPULARITY)
    with pytest.raises(dataclasses.FrozenInstanceError):
        cleared.recipient = Recipient.ADVERTISER


def test_a_copy_of_what_is_cleared_cannot_be_readdressed():
    cleared = clear(b"figures", Kind.RELEASE, Recipient.PUBLIC, Purpose.GENRE_POPULARITY)
    with pytest.raises(DisclosureError):
        dataclasses.replace(cleared, recipient=Recipient.ADVERTISER)


def test_a_plain_copy_keeps_its_recipient():
    cleared = clear(b"figures", Kind.RELEASE, Recipient.PUBLIC, Purpose.GENRE_POPULARITY)
    for other in (copy.copy(cleared), pickle.loads(pickle.dumps(cleared))):  # noqa: S301 (made on this line)
        assert other.recipient is Recipient.PUBLIC


def calls_of_clear():
    for path in sorted(HEADEND.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "clear":
                yield path.relative_to(HEADEND), node


def test_every_place_that_clears_says_a_recipient_of_the_table():
    found = list(calls_of_clear())
    assert len(found) >= 5
    recipients = {triple[1].name for triple in TABLE}
    for path, call in found:
        said = call.args[2]
        assert isinstance(said, ast.Attribute), f"{path}:{call.lineno} does not name its recipient"
        assert said.attr in recipients, f"{path}:{call.lineno}"


def test_only_the_disclosure_table_knows_the_word():
    knowing = {
        str(path.relative_to(HEADEND))
        for path in HEADEND.rglob("*.py")
        if "advertis" in path.read_text().lower()
    }
    assert knowing == {"disclosure.py"}


def parameters(command, path=()):
    for parameter in command.params:
        yield (*path, command.name), parameter
    for inner in getattr(command, "commands", {}).values():
        yield from parameters(inner, (*path, command.name))


def test_no_command_lets_an_operator_choose_a_recipient():
    chosen = [
        path
        for path, parameter in parameters(main)
        if "recipient" in (parameter.name or "")
        or (isinstance(parameter.type, click.Choice) and set(parameter.type.choices) & set(Recipient))
    ]
    assert chosen == []


@pytest.mark.parametrize("place", places())
def test_no_field_of_any_message_or_table_is_declared_for_one(place):
    for entry in declared(place).values():
        assert not [name for name in entry.recipients if "advert" in name.lower()], entry.name
