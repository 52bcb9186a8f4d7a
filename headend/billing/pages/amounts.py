"""Amounts as people of a language type them, as cents: exactly, or not at all."""

import re
from decimal import Decimal
from typing import Final

from headend.billing.pages.desk import BadFormError
from headend.kit.language import Language
from shared.money import Money

_SPACES = "[ \u00a0\u202f]"
_FORMS: Final = {
    "en": re.compile(r"([0-9]{1,3}(?:,[0-9]{3}){1,2}|[0-9]{1,7})(?:\.([0-9]{2}))?"),
    "nl": re.compile(r"([0-9]{1,3}(?:\.[0-9]{3}){1,2}|[0-9]{1,7})(?:,([0-9]{2}))?"),
    "fr": re.compile(rf"([0-9]{{1,3}}(?:{_SPACES}[0-9]{{3}}){{1,2}}|[0-9]{{1,7}})(?:,([0-9]{{2}}))?"),
}
_CURRENCY = re.compile(rf"^€{_SPACES}?|{_SPACES}?€$")


def amount(cents: int, currency: str = "EUR") -> str:
    """Cents as the command line tells them."""
    return str(Money(cents, currency or "EUR"))


def cents_of(text: str, words: Language) -> int:
    """The cents of an amount such as 1,234.50 in English, 1.234,50 in Dutch, 1 234,50 in French.

    Raises:
        BadFormError: it is no amount as this language writes them.
    """
    found = _FORMS[words.code].fullmatch(_CURRENCY.sub("", text.strip()))
    if found is None:
        example = typed(123_450, words)
        raise BadFormError(
            words.text(
                "{text} is no amount; write whole euros, or euros and two digits of cents such as {example}.",
                text=text[:40],
                example=example,
            )
        )
    whole = re.sub(r"[^0-9]", "", found[1])
    return int(whole) * 100 + int(found[2] or "0")


def typed(cents: int, words: Language) -> str:
    """Cents as a person would type them."""
    return words.number(Decimal(cents) / 100, 2)
