"""The console's languages: sentences from the .po files in locale/, the rest as Babel writes it.

Messages are English sentences in the code, with places in braces. A translation that is missing is shown in
English; tests see to it that none is.
"""

import io
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from gettext import GNUTranslations
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_skeleton, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent
from markupsafe import Markup

from shared.clock import from_ms
from shared.errors import StbError

LANGUAGES: Final = {"en": "English", "nl": "Nederlands", "fr": "Français"}
"""What each language calls itself, by its ISO 639-1 code."""
_LOCALES = {"en": "en_GB", "nl": "nl_NL", "fr": "fr_FR"}


def N_(message: str) -> str:  # noqa: N802 (gettext's own name for it)
    """Mark a message that is translated where it is shown, not where it is written."""
    return message


@cache
def catalogue(code: str) -> GNUTranslations:
    """The compiled messages of a language; none for English, in which they are written."""
    if code == "en":
        return GNUTranslations()
    text = files("headend.kit").joinpath("locale", f"{code}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(text), locale=code))
    compiled.seek(0)
    return GNUTranslations(compiled)


class Language:
    """One language in one zone; times are Unix milliseconds, shown in the zone, money is whole cents."""

    def __init__(self, code: str, zone: tzinfo) -> None:
        self.code = code if code in LANGUAGES else "en"
        self.zone = zone
        self._messages = catalogue(self.code)
        self._locale = Locale.parse(_LOCALES[self.code])

    # --- words
    def text(self, message: str, **values: object) -> str:
        """The message in this language, with values in its places."""
        found = self._messages.gettext(message) if message and self.code != "en" else message
        return found.format(**values) if values else found

    def plural(self, one: str, many: str, n: int, **values: object) -> str:
        """The message for `n` things; `{n}` in it is the number as this language writes it."""
        found = self._messages.ngettext(one, many, n) if self.code != "en" else one if n == 1 else many
        return found.format(n=self.number(n), **values)

    def html(self, message: str, **values: object) -> Markup:
        """The message as markup: its own is kept, its values are escaped unless they are markup."""
        return Markup(self.text(message)).format(**values)  # noqa: S704 (messages are this house's own)

    def refusal(self, error: StbError) -> str:
        """A refusal as a person is told it: in its own words if those are translated, else in its kind's."""
        said, sentence = str(error), (type(error).__doc__ or "").split("\n")[0]
        translated = (self.text(one) for one in (said, sentence) if one and self.text(one) != one)
        return next(translated, said or sentence)

    # --- times
    def _local(self, ms: int) -> datetime:
        return from_ms(ms).astimezone(self.zone)

    def day(self, ms: int) -> str:
        """The calendar day of an instant, such as 7 Oct 2026."""
        return format_date(self._local(ms), "medium", self._locale)

    def date(self, day: date) -> str:
        """A calendar day."""
        return format_date(day, "medium", self._locale)

    def moment(self, ms: int) -> str:
        """The day with its hour and minute."""
        local = self._local(ms)
        clock = format_time(local, "HH:mm", locale=self._locale)
        return f"{format_date(local, 'medium', self._locale)}, {clock}"

    def utc(self, ms: int) -> str:
        """An instant of real time in UTC, to the second, such as it stands in audits."""
        return format_datetime(from_ms(ms).astimezone(UTC), "d MMM y, HH:mm:ss", locale=self._locale)

    def month(self, month: str) -> str:
        """A month such as 2026-10, in words."""
        year, _, number = month.partition("-")
        if not (year.isdigit() and number.isdigit()):
            return month
        first = date(int(year), int(number), 1)
        return format_skeleton("yMMMM", first, locale=self._locale)

    def ago(self, ms: int) -> str:
        """A length of time in its largest unit, such as 3 hours."""
        minutes = max(0, ms) // 60_000
        if minutes < 60:  # noqa: PLR2004 (minutes of an hour)
            return self.plural("{n} minute", "{n} minutes", minutes)
        if minutes < 48 * 60:
            return self.plural("{n} hour", "{n} hours", minutes // 60)
        return self.plural("{n} day", "{n} days", minutes // (24 * 60))

    # --- figures
    def number(self, value: float | Decimal, digits: int = 0) -> str:
        """A number with the language's marks, with exactly `digits` decimals."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, pattern, self._locale)

    def percent(self, part: float, digits: int = 1) -> str:
        """A part of one in percent."""
        return format_percent(
            part, self._locale.percent_formats[None].pattern.replace("0", _zero(digits)), self._locale
        )

    def money(self, cents: int, currency: str = "EUR") -> str:
        """Cents as an amount of a currency."""
        return format_currency(Decimal(cents) / 100, currency or "EUR", locale=self._locale)

    @property
    def own_name(self) -> str:
        """What the language calls itself."""
        return LANGUAGES[self.code]


def _zero(digits: int) -> str:
    return "0." + "0" * digits if digits else "0"


@cache
def language_of(code: str, zone: ZoneInfo) -> Language:
    """The language of a code in a zone, made once."""
    return Language(code, zone)
