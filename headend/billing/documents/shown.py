"""What the PDF says: every text of a bill as its reader sees it, by Babel in the account's own locale.

Needs the `documents` extra. Gives plain texts only, so that the page's layout decides nothing but looks.
"""

import re
import unicodedata
from datetime import date
from decimal import Decimal
from typing import Any

from babel.dates import format_date, format_skeleton
from babel.numbers import format_currency, format_percent

from headend.billing.documents.document import SUBSTITUTE, Document, InvoiceLine
from headend.billing.documents.language import Language, language_of
from shared.money import VatGroup
from shared.weeks import Month

# Latin, Greek, Cyrillic, Armenian, Hebrew, Arabic, Georgian; dashes and quotes; currency, letter-like signs
# and fractions; arrows, mathematics, boxes and stars: what typst's own fonts have a glyph for. Controls, and
# what turns the direction of writing, are not in it.
_PRINTABLE = (
    " -~\xa0-\xac\xae-\u0377\u0384-\u038a\u038e-\u03a1\u03a3-\u0482\u048a-\u04ff\u0531-\u0556\u0561-\u0587"
    "\u05d0-\u05ea\u0621-\u063a\u0641-\u064a\u0660-\u0669\u10d0-\u10ff\u1e00-\u1eff\u2010-\u2027\u202f-\u203e"
    "\u20a0-\u20bf\u2100-\u211e\u2126-\u2151\u2153-\u215f\u2190-\u21ff\u2200-\u22ff\u2500-\u2606"
)
_UNPRINTABLE = re.compile(f"[^{_PRINTABLE}]")
_LINE_ENDS = re.compile("[\t-\r\x85\u2028\u2029]")


def printable(text: str) -> str:
    """The text with what the page's fonts cannot show replaced by the substitute character.

    PDF/A wants a glyph for every character (ISO 19005-3, 6.2.11.8), so one title in another script would
    otherwise be a bill that cannot be made.

    >>> printable("Amélie 中")
    'Amélie �'
    """
    spaced = _LINE_ENDS.sub(" ", unicodedata.normalize("NFC", text))
    return _UNPRINTABLE.sub(SUBSTITUTE, spaced)


class Shown:
    """One bill's texts in one language and locale; `document` is what `check_sums` lets through."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._language: Language = language_of(document.language)
        self._words = self._language.page
        self._locale = self._language.locale_of(document.country)
        self._legal = self._language.legal[document.country]

    def page(self) -> dict[str, Any]:
        """Everything that stands on the page, as `bill.typ` reads it."""
        document = self._document
        groups = [self._group(group) for group in document.groups]
        return {
            "language": document.language,
            "country": document.country,
            "words": self._words,
            "title": self._title(),
            "number": printable(document.number),
            "seller": self._seller(),
            "facts": self._facts(),
            "lines": [self._line(line) for line in document.lines],
            "groups": groups,
            "totals": self._totals(),
            "rounded": any(group.rounding for group in document.groups),
            "payable": self._payable(),
            "terms": self._language.terms_of(document.kind, document.payable),
            "notes": list(self._legal.notes),
        }

    def _title(self) -> str:
        return self._words["invoice" if self._document.kind == "invoice" else "credit_note"]

    def _seller(self) -> dict[str, str]:
        seller = self._document.seller
        return {
            "name": printable(seller.name),
            "street": printable(seller.street),
            "place": printable(f"{seller.postcode} {seller.city}"),
            "vat": printable(f"{self._legal.vat_number} {seller.vat_number}"),
        }

    def _facts(self) -> list[list[str]]:
        document, words = self._document, self._words
        month = Month.parse(document.month)
        named = format_skeleton("yMMMM", date(month.year, month.number, 1), locale=self._locale)
        facts = [
            [words["account"], printable(document.account)],
            [words["number"], printable(document.number)],
            [words["issued"], format_date(document.day(document.issued_ms), "long", self._locale)],
            [words["month"], named],
        ]
        if document.refers_to is not None:
            facts.append([words["corrects"], printable(document.refers_to)])
        return facts

    def _line(self, line: InvoiceLine) -> dict[str, str]:
        words, language = self._words, self._language
        promotion = f"{words['promotion']} {language.category(line.text)}"
        text = promotion if line.is_promotion else language.shown(line.text)
        return {
            "date": format_date(self._document.day(line.placed_ms), "medium", self._locale),
            "text": printable(text),
            "note": words["late"] if line.late else "",
            "rate": self._rate(line.vat_bp),
            "price": self._money(line.cents),
        }

    def _group(self, group: VatGroup) -> dict[str, str]:
        return {
            "rate": self._rate(group.rate_bp),
            "net": self._money(group.net),
            "vat": self._money(group.vat),
            "rounding": self._money(group.rounding),
            "gross": self._money(group.gross),
        }

    def _totals(self) -> dict[str, str]:
        groups = self._document.groups
        return {
            "net": self._money(sum(group.net for group in groups)),
            "vat": self._money(sum(group.vat for group in groups)),
            "rounding": self._money(sum(group.rounding for group in groups)),
            "gross": self._money(self._document.payable),
        }

    def _payable(self) -> dict[str, str]:
        document = self._document
        if document.kind == "credit-note":
            return {"label": self._words["given_back"], "amount": self._money(document.payable)}
        label = "to_pay" if document.payable >= 0 else "owed"
        return {"label": self._words[label], "amount": self._money(abs(document.payable))}

    def _money(self, cents: int) -> str:
        # Two decimals whatever the currency is, as everywhere: an amount is counted in hundredths.
        amount = Decimal(cents).scaleb(-2)
        shown = format_currency(amount, self._document.currency, locale=self._locale, currency_digits=False)
        return printable(shown)

    def _rate(self, rate_bp: int) -> str:
        rate = Decimal(rate_bp).scaleb(-4)
        return printable(format_percent(rate, locale=self._locale, decimal_quantization=False))
