"""The notice on paper: what boxes show, with whom to ask, in the household's language."""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from headend.billing.wording import words_of as billing_words_of
from headend.installation import Settings
from headend.records import markdown
from shared.notice import measure_in_words, notice
from shared.register import profile


class PrintedWords(Struct, frozen=True, forbid_unknown_fields=True):
    """What stands around the notice."""

    lead: str
    lawyer: str
    fill: str
    contact: str
    controller: str
    controller_blank: str
    officer: str
    officer_blank: str
    relay: str
    relay_blank: str
    authority: str
    taken: str

    def blank(self, what: str) -> str:
        """What only the operator can say."""
        return f"**[{self.fill}: {what}]**"


@cache
def printed_words(language: str) -> PrintedWords:
    """The words of a language; in English where there are none."""
    text = files("headend.records").joinpath("printed.toml").read_text("utf-8")
    found = msgspec.convert(tomllib.loads(text), dict[str, PrintedWords])
    return found.get(language, found["en"])


def printed_notice(settings: Settings, language: str) -> str:
    """The notice for an installation's households, as Markdown."""
    words, shown = printed_words(language), notice(language)
    blocks = []
    for part in shown.parts:
        blocks += [f"## {part.head}", *part.text, *([markdown.items(part.listed)] if part.listed else [])]
    taken = [measure_in_words(one, language) for one in profile(settings.profile).measures]
    authority = billing_words_of(language).authorities.get(settings.country)
    contacts = [
        [words.controller, words.blank(words.controller_blank)],
        [words.officer, words.blank(words.officer_blank)],
        [words.relay, words.blank(words.relay_blank)],
        [words.authority, authority or words.blank(words.authority)],
    ]
    return markdown.page(
        shown.title,
        f"*{words.lawyer}*",
        words.lead,
        *blocks,
        f"## {words.taken}",
        markdown.items(taken),
        f"## {words.contact}",
        markdown.table(["", ""], contacts),
        shown.foot,
    )
