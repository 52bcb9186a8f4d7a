"""Money: whole cents with their currency, and VAT that adds up.

Prices include VAT. Of a VAT group with gross G at rate r the net is N = round(G / (1 + r)) and the tax
V = round(r · N), both half up; what is left of G is the rounding amount (EN 16931 BT-114), at most one
cent, so that what is payable is always the sum of the prices shown. No floats.
"""

from dataclasses import dataclass

from shared.errors import StbError

BASIS_POINTS = 10_000


class CurrencyMismatchError(StbError):
    """Two amounts of different currencies were added."""


@dataclass(frozen=True)
class Money:
    """An amount in whole cents; may be negative."""

    cents: int
    currency: str = "EUR"

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise CurrencyMismatchError(f"{self.currency} cannot be added to {other.currency}")
        return Money(self.cents + other.cents, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.cents, self.currency)

    def __str__(self) -> str:
        sign = "-" if self.cents < 0 else ""
        return f"{sign}{self.currency} {abs(self.cents) // 100}.{abs(self.cents) % 100:02}"


def round_half_up(numerator: int, denominator: int) -> int:
    """Divide, halves away from zero; the denominator is positive.

    >>> round_half_up(5, 2), round_half_up(-5, 2)
    (3, -3)
    """
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


@dataclass(frozen=True)
class VatGroup:
    """One VAT rate's part of a bill, in cents: gross = net + vat + rounding."""

    rate_bp: int
    gross: int
    net: int
    vat: int
    rounding: int


def vat_group(gross: int, rate_bp: int) -> VatGroup:
    """Split a group's gross cents; the rate is in basis points (2100 = 21 %).

    >>> vat_group(4990, 2100)
    VatGroup(rate_bp=2100, gross=4990, net=4124, vat=866, rounding=0)
    """
    net = round_half_up(gross * BASIS_POINTS, BASIS_POINTS + rate_bp)
    vat = round_half_up(net * rate_bp, BASIS_POINTS)
    return VatGroup(rate_bp, gross, net, vat, gross - net - vat)


def spread(total: int, weights: list[int]) -> list[int]:
    """Spread `total` cents over lines in proportion to `weights` by largest remainder; sums exactly.

    >>> spread(10, [1, 1, 1])
    [4, 3, 3]
    """
    whole = sum(weights)
    if whole == 0:
        return [0 for _ in weights]
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda line: (-remainders[line], line))
    for line in order[: total - sum(parts)]:
        parts[line] += 1
    return parts
