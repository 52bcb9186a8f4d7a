"""Makers of bills, and what a machine reads in them."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import strategies as st
from lxml import etree

from headend.billing.documents.document import Document, InvoiceLine, Seller
from shared.clock import to_ms
from shared.money import VatGroup, vat_group

RATES = (0, 600, 900, 1200, 2100)
SELLERS = {
    "NL": Seller(
        "NL", "Noordzee Televisie B.V.", "NL123456789B01", "Voorbeeldkade 12", "1012 AB", "Amsterdam"
    ),
    "BE": Seller("BE", "Scheldekabel NV", "BE0123456789", "Rue Exemple 7", "1000", "Bruxelles"),
}
ZONES = {"NL": "Europe/Amsterdam", "BE": "Europe/Brussels"}
NAMESPACES = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}


def at(*moment):
    return to_ms(datetime(*moment, tzinfo=UTC))


def line(text="film", cents=499, vat_bp=2100, **changes):
    made = InvoiceLine("box-1/1/1", "order", text, at(2026, 10, 7, 20), cents, vat_bp, late=False)
    return replace(made, **changes)


def promotion(category="welcome", cents=-100, vat_bp=2100):
    return line(category, cents, vat_bp, kind="promotion")


def gross_by_rate(lines):
    gross = defaultdict(int)
    for one in lines:
        gross[one.vat_bp] += one.cents
    return dict(sorted(gross.items()))


def bill(*lines, country="NL", language="nl", **changes):
    made = Document(
        number="INV-2026-000007",
        kind="invoice",
        refers_to=None,
        account="acc-1",
        country=country,
        zone=ZONES[country],
        language=language,
        month="2026-10",
        currency="EUR",
        issued_ms=at(2026, 11, 3, 8),
        seller=SELLERS[country],
        lines=lines,
        groups=tuple(vat_group(cents, rate) for rate, cents in gross_by_rate(lines).items()),
    )
    return replace(made, **changes)


def credit_note(before, *lines, **changes):
    """A credit of `lines` off what was left of a bill: its parts before, less its parts after."""
    groups = []
    for rate, cents in gross_by_rate(lines).items():
        old = vat_group(gross_by_rate(before)[rate], rate)
        new = vat_group(old.gross - cents, rate)
        groups.append(
            VatGroup(rate, cents, old.net - new.net, old.vat - new.vat, old.rounding - new.rounding)
        )
    told = {"number": "CRN-2026-000002", "kind": "credit-note", "refers_to": "INV-2026-000007", **changes}
    return replace(bill(*lines), groups=tuple(groups), **told)


SAMPLES = {
    "one film": bill(line()),
    "ten films": bill(*[line()] * 10),
    "three rates in Belgium": bill(line(), line(vat_bp=600), line(vat_bp=1200), country="BE", language="fr"),
    "a rate of nothing": bill(line("game", 2999, 0), line(), language="en"),
    "nothing to pay": bill(line(cents=0)),
    "promotions": bill(line(), promotion(), line("game", 2999, 900), promotion("loyalty", -2999, 900)),
    "a promotion of the whole price": bill(line(), promotion(cents=-499)),
    "a promotion that no order stands beside": bill(line(), promotion(vat_bp=900)),
    "a cent with promotions": bill(line(cents=3), *[promotion(cents=-1)] * 2),
    "a late line": bill(line(late=True, placed_ms=at(2026, 9, 29, 20)), line()),
    "a rounding amount": bill(line(cents=3)),
    "a credit note": credit_note([line()], line()),
    "a partial credit": credit_note([line(), line(vat_bp=900)], line(cents=1), line(cents=100, vat_bp=900)),
}


@st.composite
def bills(draw):
    prices = st.one_of(
        st.integers(0, 5), st.sampled_from([0, 399, 499, 1299, 2999]), st.integers(0, 10_000_000)
    )
    lines = []
    for _ in range(draw(st.integers(1, 20))):
        order = line(cents=draw(prices), vat_bp=draw(st.sampled_from(RATES)), late=draw(st.booleans()))
        lines.append(order)
        if draw(st.booleans()):
            lines.append(promotion(cents=-draw(st.integers(0, order.cents)), vat_bp=order.vat_bp))
    country = draw(st.sampled_from(["NL", "BE"]))
    return bill(*lines, country=country, language=draw(st.sampled_from(["en", "fr", "nl"])))


@st.composite
def credit_notes(draw):
    """A second partial credit of a bill that was credited before."""
    rates = draw(st.lists(st.sampled_from(RATES), min_size=1, max_size=8))
    before = [line(cents=draw(st.integers(0, 3000)), vat_bp=rate) for rate in rates]
    credited = [replace(one, cents=draw(st.integers(0, one.cents))) for one in before]
    return credit_note(before, *credited)


@dataclass
class Read:
    """A UBL file as its receiver reads it; amounts in cents."""

    root: etree._Element

    def texts(self, path):
        return [found.text for found in self.root.findall(path, NAMESPACES)]

    def text(self, path):
        [found] = self.texts(path)
        return found

    def cents(self, path):
        return [int(Decimal(text).scaleb(2)) for text in self.texts(path)]

    @property
    def line_nets(self):
        return self.cents("cac:InvoiceLine/cbc:LineExtensionAmount") + self.cents(
            "cac:CreditNoteLine/cbc:LineExtensionAmount"
        )

    @property
    def total(self):
        """Every total by name, in cents; what is left out is nothing."""
        told = {name: self.cents(f"cac:LegalMonetaryTotal/cbc:{name}") for name in _TOTALS}
        return {name: cents[0] if cents else 0 for name, cents in told.items()}

    @property
    def subtotals(self):
        """(rate in basis points, net, vat) of every VAT group, in order."""
        path = "cac:TaxTotal/cac:TaxSubtotal/"
        columns = ("cac:TaxCategory/cbc:Percent", "cbc:TaxableAmount", "cbc:TaxAmount")
        return list(zip(*(self.cents(path + column) for column in columns), strict=True))


_TOTALS = (
    "LineExtensionAmount",
    "TaxExclusiveAmount",
    "TaxInclusiveAmount",
    "AllowanceTotalAmount",
    "PayableRoundingAmount",
    "PayableAmount",
)


def read(file):
    return Read(etree.fromstring(file))
