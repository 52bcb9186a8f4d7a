"""Every message of the console is translated, and its translations say the same with the same places."""

import re
from pathlib import Path

import pytest

from tests import words

PLACES = re.compile(r"\{(\w+)\}|</?(\w+)>")


@pytest.fixture(scope="module")
def said():
    return words.messages()


@pytest.mark.parametrize("code", words.TRANSLATED)
def test_the_catalogue_holds_what_the_code_says_and_nothing_else(code, said):
    known = {one.id if isinstance(one.id, str) else tuple(one.id) for one in words.read(code) if one.id}
    assert known == set(said), "bring them in step with `make words`, and translate what is new"


@pytest.mark.parametrize("code", words.TRANSLATED)
def test_every_message_is_translated(code):
    assert words.untranslated(words.read(code)) == []


@pytest.mark.parametrize("code", words.TRANSLATED)
def test_a_translation_keeps_the_places_and_the_markup_of_its_message(code):
    wrong = []
    for one in words.read(code):
        messages = (one.id,) if isinstance(one.id, str) else one.id
        strings = (one.string,) if isinstance(one.string, str) else one.string
        wanted = {found.group() for found in PLACES.finditer(messages[-1])}
        wrong += [text for text in strings if {found.group() for found in PLACES.finditer(text)} - wanted]
        wrong += [
            text for text in strings[-1:] if wanted - {found.group() for found in PLACES.finditer(text)}
        ]
    assert wrong == []


def test_a_message_that_nobody_translated_is_found(said):
    catalogue = words.read("nl")
    one = next(iter(message for message in catalogue if message.id and isinstance(message.id, str)))
    one.string = ""
    assert words.untranslated(catalogue) == [one.id]


def test_messages_are_found_in_python_in_templates_and_in_registers(said):
    places = {Path(place).suffix for found in said.values() for place in found}
    assert places == {".py", ".html", ".toml"}
    assert ("{n} order", "{n} orders") in said
