from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.money import CurrencyMismatchError, Money, round_half_up, spread, vat_group

cents = st.integers(-10_000_000, 10_000_000)
rates = st.sampled_from([0, 600, 900, 1200, 2100]) | st.integers(0, 10_000)


def test_ten_films_at_499_cost_4990_whatever_the_tax_does():
    group = vat_group(4990, 2100)
    assert (group.net, group.vat, group.rounding) == (4124, 866, 0)


@given(cents, rates)
@example(1, 2100)
@example(3, 10_000)
def test_a_group_is_its_net_its_tax_and_at_most_one_cent(gross, rate):
    group = vat_group(gross, rate)
    assert group.net + group.vat + group.rounding == gross
    assert abs(group.rounding) <= 1


@given(cents, rates)
def test_tax_is_the_rate_of_the_net_half_up(gross, rate):
    group = vat_group(gross, rate)
    assert abs(Fraction(group.vat) - Fraction(group.net * rate, 10_000)) <= Fraction(1, 2)


@given(cents, rates)
def test_a_credit_of_everything_is_the_bill_the_other_way_round(gross, rate):
    there, back = vat_group(gross, rate), vat_group(-gross, rate)
    assert (back.net, back.vat, back.rounding) == (-there.net, -there.vat, -there.rounding)


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_halves_go_away_from_zero_and_nothing_is_further_off_than_a_half(numerator, denominator):
    exact = Fraction(numerator, denominator)
    rounded = round_half_up(numerator, denominator)
    assert abs(rounded - exact) <= Fraction(1, 2)
    if abs(rounded - exact) == Fraction(1, 2):
        assert abs(rounded) > abs(exact)


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_an_exact_half_goes_away_from_zero(whole, denominator):
    numerator = (2 * whole + 1) * denominator
    assert round_half_up(numerator, 2 * denominator) == whole + 1
    assert round_half_up(-numerator, 2 * denominator) == -(whole + 1)


@given(st.integers(-100_000, 100_000), st.lists(st.integers(0, 10_000), min_size=1, max_size=30))
def test_what_is_spread_adds_up_and_nobody_is_a_whole_cent_off(total, weights):
    parts = spread(total, weights)
    whole = sum(weights)
    if whole == 0:
        assert parts == [0] * len(weights)
        return
    assert sum(parts) == total
    shares = [Fraction(total * weight, whole) for weight in weights]
    assert all(abs(part - share) < 1 for part, share in zip(parts, shares, strict=True))


def test_amounts_of_two_currencies_are_never_added():
    with pytest.raises(CurrencyMismatchError):
        Money(100) + Money(100, "USD")


@given(cents, cents)
def test_amounts_add_up_and_cancel(one, other):
    assert Money(one) + Money(other) == Money(one + other)
    assert Money(one) + -Money(one) == Money(0)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Money(499), "EUR 4.99"),
        (Money(-5), "-EUR 0.05"),
        (Money(0), "EUR 0.00"),
        (Money(100, "GBP"), "GBP 1.00"),
    ],
)
def test_an_amount_is_written_with_its_currency_and_two_places(amount, text):
    assert str(amount) == text
