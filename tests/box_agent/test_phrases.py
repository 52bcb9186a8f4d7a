"""Every word that the household may meet is there, in each language."""

import importlib
import pkgutil
import re
import string
from pathlib import Path

import pytest

import box_agent
from box_agent.front import error_name
from box_agent.phrases import phrases_of
from shared.errors import StbError
from shared.words import LANGUAGES

FOLDER = Path(box_agent.__file__).parent
MAPS = ("labels", "states", "kinds", "sentences", "errors", "alarms", "archive")
OTHERS = sorted(set(LANGUAGES) - {"en"})


def refusals():
    """All that somebody may be answered; a self-test's steps are told to installers, in English."""
    for found in pkgutil.walk_packages(box_agent.__path__, "box_agent."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)

    def below(kind):
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    return sorted(
        {
            error_name(one())
            for one in below(StbError)
            if one.__module__.startswith("box_agent.")
            and not one.__module__.startswith("box_agent.checks.")
            and one.__init__ is StbError.__init__
        }
        | {"refused", "agent-refused"}
    )


def places(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_has_a_sentence(language):
    told = phrases_of(language).errors
    assert [name for name in [*refusals(), "internal"] if name not in told] == []


def test_no_refusal_is_worded_that_is_not_there():
    assert set(phrases_of("en").errors) - set(refusals()) == {"internal"}


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("part", MAPS)
def test_all_languages_word_the_same(language, part):
    english, other = getattr(phrases_of("en"), part), getattr(phrases_of(language), part)
    assert list(other) == list(english)
    assert {name: places(text) for name, text in other.items()} == {
        name: places(text) for name, text in english.items()
    }
    assert all(text.strip() for text in other.values())


@pytest.mark.parametrize("language", OTHERS)
def test_no_sentence_was_left_in_english(language):
    english, other = phrases_of("en"), phrases_of(language)
    for part in ("sentences", "errors", "alarms", "archive"):
        same = [name for name, text in getattr(other, part).items() if text == getattr(english, part)[name]]
        assert same == []


def test_every_alarm_that_is_sounded_has_a_sentence():
    text = "\n".join(path.read_text() for path in sorted(FOLDER.rglob("*.py")))
    sounded = re.findall(r'sound\(f?"([a-z-]+)', text) + re.findall(r'\["([a-z]+-(?:lost|salvaged))"\]', text)
    sounded += [
        f"{name}-{what}" for name in ("submit", "heartbeat", "catalogue") for what in ("refused-x", "Bad")
    ]
    assert len(sounded) >= 10
    for name in sounded:
        assert phrases_of("en").alarm(name) != name, name


def test_an_alarm_is_told_with_its_name_and_the_longest_that_fits():
    told = phrases_of("en").alarm("submit-refused-unknown-box")
    assert "refused orders" in told
    assert told.endswith("[submit-refused-unknown-box]")


def test_what_has_no_words_is_told_by_its_name():
    found = phrases_of("nl")
    assert (found.label("new-field"), found.state("new"), found.alarm("new-alarm")) == (
        "new-field",
        "new",
        "new-alarm",
    )
    assert found.error("new") is None
