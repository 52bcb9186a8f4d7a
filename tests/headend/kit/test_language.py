"""The console's languages: words, dates, numbers and money."""

from zoneinfo import ZoneInfo

import pytest

from headend.billing.requests import BadRequestError
from headend.console.pages import NotForRoleError
from headend.kit.language import LANGUAGES, Language, language_of
from shared.errors import StbError

ZONE = ZoneInfo("Europe/Amsterdam")
OCTOBER = 1_791_400_000_000  # 7 October 2026, 21:06:40 in the zone


@pytest.mark.parametrize(
    ("code", "money", "number", "percent"),
    [
        ("en", "€1,234.50", "12,345.7", "31.2%"),
        ("nl", "€\xa01.234,50", "12.345,7", "31,2%"),
        ("fr", "1\u202f234,50\xa0€", "12\u202f345,7", "31,2\xa0%"),
    ],
)
def test_figures_are_written_as_the_language_writes_them(code, money, number, percent):
    words = Language(code, ZONE)
    assert words.money(123450, "EUR") == money
    assert words.number(12345.67, 1) == number
    assert words.percent(0.3121) == percent


@pytest.mark.parametrize(
    ("code", "moment", "month"),
    [
        ("en", "7 Oct 2026, 21:06", "October 2026"),
        ("nl", "7 okt 2026, 21:06", "oktober 2026"),
        ("fr", "7 oct. 2026, 21:06", "octobre 2026"),
    ],
)
def test_times_are_of_the_zone_and_in_the_language(code, moment, month):
    words = Language(code, ZONE)
    assert words.moment(OCTOBER) == moment
    assert words.month("2026-10") == month


def test_what_a_value_says_is_escaped_in_markup_and_the_messages_own_markup_is_kept():
    words = Language("en", ZONE)
    assert words.html("the <strong>{name}</strong>", name="<b>") == "the <strong>&lt;b&gt;</strong>"


def test_an_unknown_language_is_english_and_an_unknown_message_stands_as_it_is():
    assert language_of("xx", ZONE).code == "en"
    assert Language("nl", ZONE).text("never said anywhere {n}", n=3) == "never said anywhere 3"


@pytest.mark.parametrize("code", LANGUAGES)
def test_one_thing_and_many_things_are_told_apart(code):
    words = Language(code, ZONE)
    one, many = (words.plural("{n} minute", "{n} minutes", n) for n in (1, 1500))
    assert one != many
    assert words.number(1500) in many


@pytest.mark.parametrize(
    ("ms", "told"),
    [(0, "0 minutes"), (59 * 60_000, "59 minutes"), (3 * 3_600_000, "3 hours"), (4 * 86_400_000, "4 days")],
)
def test_a_length_of_time_is_told_in_its_largest_unit(ms, told):
    assert Language("en", ZONE).ago(ms) == told


def test_a_refusal_is_told_in_the_language_by_its_own_words_or_by_its_kind():
    words = Language("nl", ZONE)
    own = BadRequestError("This request was extended before.")
    kind = NotForRoleError("whatever")
    assert words.refusal(own) == words.text("This request was extended before.") != str(own)
    assert words.refusal(kind) == words.text("This page is not for your role.") != "whatever"


def test_a_refusal_without_a_translation_is_told_in_its_own_words():
    class OddError(StbError):
        """Odd."""

    assert Language("nl", ZONE).refusal(OddError("it was 3")) == "it was 3"
