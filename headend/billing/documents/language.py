"""The wording of bills, in the languages that there are: one file a language, all with the same keys."""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from headend.billing.documents.document import BadDocumentError

LANGUAGES = ("en", "fr", "nl")


class UnknownLanguageError(BadDocumentError):
    """A bill was asked for in a language that there is no wording for."""


class UnknownCountryError(BadDocumentError):
    """A bill was asked for in a country that there is no wording for."""


class Legal(Struct, frozen=True, forbid_unknown_fields=True):
    """What the law of one country wants said: the VAT number's name, and notes at the foot."""

    vat_number: str
    notes: tuple[str, ...]


class Language(Struct, frozen=True, forbid_unknown_fields=True):
    """One language's wording.

    `locale` gives the Unicode locale by country, `display` the name of each display class, `promotion` of
    each category of promotions, `terms` how what is payable is settled, `page` the words on the page, `note`
    the sentence in every e-invoice.
    """

    note: str
    locale: dict[str, str]
    display: dict[str, str]
    promotion: dict[str, str]
    terms: dict[str, str]
    page: dict[str, str]
    legal: dict[str, Legal]

    def display_class(self, text: str) -> str:
        """The name of a display class; of anything else, which may be a title, only that it was on demand."""
        return self.display.get(text, self.display["on demand"])

    def shown(self, text: str) -> str:
        """What a person reads: the name of a display class, or the title as it is."""
        return self.display.get(text, text)

    def category(self, text: str) -> str:
        """The name of a category of promotions; one that is not known is named as it is."""
        return self.promotion.get(text, text)

    def terms_of(self, kind: str, payable: int) -> str:
        """How a bill or credit note of so many cents is settled."""
        if payable == 0:
            return self.terms["nothing"]
        if kind == "credit-note":
            return self.terms["given_back"]
        return self.terms["collected" if payable > 0 else "owed"]

    def locale_of(self, country: str) -> str:
        """The Unicode locale, such as nl_BE.

        Raises:
            UnknownCountryError: there is none for the country.
        """
        if country not in self.locale:
            raise UnknownCountryError(f"bills are worded for {', '.join(self.locale)}, not for {country!r}")
        return self.locale[country]


@cache
def _read(name: str) -> Language:
    text = files("headend.billing.documents").joinpath("wording", f"{name}.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Language)


def language_of(name: str) -> Language:
    """The wording of a language, by its ISO 639-1 code.

    Raises:
        UnknownLanguageError: there is none.
    """
    if name not in LANGUAGES:
        raise UnknownLanguageError(f"bills are worded in {', '.join(LANGUAGES)}, not in {name!r}")
    return _read(name)
