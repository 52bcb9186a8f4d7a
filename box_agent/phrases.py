"""What the command line and a screen say to the household, in its language: languages/, one file a language.

The files have one shape; one is read when there is something to say in it, once. What is said of measures and
genres is `shared.words`'s.
"""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from shared.words import LANGUAGES


class Phrases(Struct, frozen=True, forbid_unknown_fields=True):
    """One language's phrases; every map is by the name that it words.

    `labels` are those of fields, `states` those of their values, `kinds` only those kinds of item that their
    shift class does not tell. `sentences` have places for what they tell of. `errors` are refusals by name,
    and `alarms` by how their name begins. `archive` explains its parts.
    """

    labels: dict[str, str]
    states: dict[str, str]
    kinds: dict[str, str]
    sentences: dict[str, str]
    errors: dict[str, str]
    alarms: dict[str, str]
    archive: dict[str, str]

    def label(self, name: str) -> str:
        """What a field is called; its own name where nothing better is known."""
        return self.labels.get(name, name)

    def state(self, name: str) -> str:
        """What a value is called; likewise."""
        return self.states.get(name, name)

    def error(self, name: str) -> str | None:
        """What a refusal means, if it is known."""
        return self.errors.get(name)

    def alarm(self, name: str) -> str:
        """What an alarm means, and its name; the name alone if it is not known."""
        known = max((one for one in self.alarms if name.startswith(one)), key=len, default=None)
        return name if known is None else f"{self.alarms[known]} [{name}]"


@cache
def phrases_of(language: str) -> Phrases:
    """The phrases of a language (ISO 639-1); in English where there are none."""
    name = language if language in LANGUAGES else "en"
    text = files("box_agent").joinpath("languages", f"{name}.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Phrases)
