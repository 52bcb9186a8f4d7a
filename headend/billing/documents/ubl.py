"""Bills and credit notes as EN 16931 invoices in UBL 2.1, byte for byte repeatable.

Plain EN 16931-1:2017 in the syntax binding of CEN/TS 16931-3-2; no Peppol, which needs a buyer's endpoint.
BT and BG are the business terms of that standard. The file carries display classes only, whatever it is
handed: a legal invoice is kept for years, a title is not.
"""

import re
from calendar import monthrange
from functools import lru_cache
from xml.sax.saxutils import escape

from headend.billing.documents.amounts import check_sums, line_nets
from headend.billing.documents.document import (
    SUBSTITUTE,
    UNPRINTABLE,
    BadDocumentError,
    Document,
    InvoiceLine,
    Seller,
)
from headend.billing.documents.language import Language, language_of
from shared.money import VatGroup
from shared.weeks import Month

_CURRENCY = re.compile("[A-Z]{3}")
_COUNTRY = re.compile("[A-Z]{2}")
_VAT_NUMBER = re.compile("[A-Z]{2}[0-9A-Z+*.]{2,13}")
_DISCOUNT = "95"
"""UNCL 5189: a discount."""

_UBL = "urn:oasis:names:specification:ubl:schema:xsd"
_NAMESPACES = f'xmlns:cac="{_UBL}:CommonAggregateComponents-2" xmlns:cbc="{_UBL}:CommonBasicComponents-2"'
_VAT = "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme>"


def ubl(document: Document) -> bytes:
    """The bill as a file that machines read, in UTF-8.

    Dates stand in the account's zone. What is payable (BT-115) is exactly the sum of the prices shown; the
    cents that VAT leaves of it are the rounding amount (BT-114).

    Raises:
        BadDocumentError: it does not add up, a name is empty, or a number or code cannot stand in XML.
        NotAMonthError: the month is none.
    """
    check_sums(document)
    language = language_of(document.language)
    root = "Invoice" if document.kind == "invoice" else "CreditNote"
    nets = list(zip(document.lines, line_nets(document), strict=True))
    terms = language.terms_of(document.kind, document.payable)
    parts = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{_UBL}:{root}-2" {_NAMESPACES}>',
        _head(document, language),
        _seller(document.seller),
        _buyer(document),
        f"<cac:PaymentTerms><cbc:Note>{escape(terms)}</cbc:Note></cac:PaymentTerms>",
        *(_allowance(document, language, line, net) for line, net in nets if line.is_promotion),
        _tax_total(document),
        _totals(document, nets),
        *_lines(document, language, nets),
        f"</{root}>\n",
    )
    return "".join(parts).encode()


def _head(document: Document, language: Language) -> str:
    month = Month.parse(document.month)
    days = monthrange(month.year, month.number)[1]
    number = _number(document.number)
    issued = f"<cbc:IssueDate>{document.day(document.issued_ms).isoformat()}</cbc:IssueDate>"
    refers = (
        f"<cac:BillingReference><cac:InvoiceDocumentReference><cbc:ID>{_number(document.refers_to)}"
        "</cbc:ID></cac:InvoiceDocumentReference></cac:BillingReference>"
        if document.refers_to is not None
        else ""
    )
    type_code = (
        "<cbc:InvoiceTypeCode>380</cbc:InvoiceTypeCode>"
        if document.kind == "invoice"
        else "<cbc:CreditNoteTypeCode>381</cbc:CreditNoteTypeCode>"
    )
    return (
        "<cbc:CustomizationID>urn:cen.eu:en16931:2017</cbc:CustomizationID>"
        f"<cbc:ID>{number}</cbc:ID>{issued}{type_code}<cbc:Note>{escape(language.note)}</cbc:Note>"
        f"<cbc:DocumentCurrencyCode>{_code(_CURRENCY, document.currency)}</cbc:DocumentCurrencyCode>"
        f"{_period(f'{month}-01', f'{month}-{days}')}{refers}"
    )


def _seller(seller: Seller) -> str:
    name = _name(seller.name, "seller's name")
    return (
        "<cac:AccountingSupplierParty><cac:Party><cac:PostalAddress>"
        f"<cbc:StreetName>{_name(seller.street, 'street')}</cbc:StreetName>"
        f"<cbc:CityName>{_name(seller.city, 'city')}</cbc:CityName>"
        f"<cbc:PostalZone>{_name(seller.postcode, 'postcode')}</cbc:PostalZone>"
        f"{_country(seller.country)}</cac:PostalAddress><cac:PartyTaxScheme>"
        f"<cbc:CompanyID>{_code(_VAT_NUMBER, seller.vat_number)}</cbc:CompanyID>{_VAT}</cac:PartyTaxScheme>"
        f"<cac:PartyLegalEntity><cbc:RegistrationName>{name}</cbc:RegistrationName></cac:PartyLegalEntity>"
        "</cac:Party></cac:AccountingSupplierParty>"
    )


def _buyer(document: Document) -> str:
    return (
        "<cac:AccountingCustomerParty><cac:Party>"
        f"<cac:PostalAddress>{_country(document.country)}</cac:PostalAddress><cac:PartyLegalEntity>"
        f"<cbc:RegistrationName>{_name(document.account, 'account')}</cbc:RegistrationName>"
        "</cac:PartyLegalEntity></cac:Party></cac:AccountingCustomerParty>"
    )


def _allowance(document: Document, language: Language, line: InvoiceLine, net: int) -> str:
    """A promotion: a document level allowance (BG-20) with its category as the reason."""
    category = _name(language.category(line.text), "category")
    return (
        "<cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator>"
        f"<cbc:AllowanceChargeReasonCode>{_DISCOUNT}</cbc:AllowanceChargeReasonCode>"
        f"<cbc:AllowanceChargeReason>{category}</cbc:AllowanceChargeReason>"
        f"{_amount('Amount', document.currency, net)}{_category('TaxCategory', line.vat_bp)}"
        "</cac:AllowanceCharge>"
    )


def _tax_total(document: Document) -> str:
    vat = sum(group.vat for group in document.groups)
    subtotals = "".join(_subtotal(document.currency, group) for group in document.groups)
    return f"<cac:TaxTotal>{_amount('TaxAmount', document.currency, vat)}{subtotals}</cac:TaxTotal>"


def _subtotal(currency: str, group: VatGroup) -> str:
    return (
        f"<cac:TaxSubtotal>{_amount('TaxableAmount', currency, group.net)}"
        f"{_amount('TaxAmount', currency, group.vat)}{_category('TaxCategory', group.rate_bp)}"
        "</cac:TaxSubtotal>"
    )


def _totals(document: Document, nets: list[tuple[InvoiceLine, int]]) -> str:
    """BG-22; what is nothing and may be left out (BT-107, BT-114) is left out."""
    ordered = sum(net for line, net in nets if not line.is_promotion)
    taken_off = [net for line, net in nets if line.is_promotion]
    net = sum(group.net for group in document.groups)
    rounding = sum(group.rounding for group in document.groups)
    amounts = (
        ("LineExtensionAmount", ordered),
        ("TaxExclusiveAmount", net),
        ("TaxInclusiveAmount", document.payable - rounding),
        ("AllowanceTotalAmount", sum(taken_off) if taken_off else None),
        ("PayableRoundingAmount", rounding or None),
        ("PayableAmount", document.payable),
    )
    told = (_amount(name, document.currency, cents) for name, cents in amounts if cents is not None)
    return f"<cac:LegalMonetaryTotal>{''.join(told)}</cac:LegalMonetaryTotal>"


def _lines(document: Document, language: Language, nets: list[tuple[InvoiceLine, int]]) -> list[str]:
    """BG-25, numbered from 1; the price (BT-146) is the net of the one thing that was ordered."""
    tag, quantity = (
        ("InvoiceLine", "InvoicedQuantity")
        if document.kind == "invoice"
        else ("CreditNoteLine", "CreditedQuantity")
    )
    orders = [(line, net) for line, net in nets if not line.is_promotion]
    if not orders:
        raise BadDocumentError(f"{document.number} has promotions and nothing else (EN 16931, BR-16)")
    return [
        f'<cac:{tag}><cbc:ID>{number}</cbc:ID><cbc:{quantity} unitCode="C62">1</cbc:{quantity}>'
        f"{_amount('LineExtensionAmount', document.currency, net)}{_late(document, line)}"
        f"<cac:Item><cbc:Name>{escape(language.display_class(line.text))}</cbc:Name>"
        f"{_category('ClassifiedTaxCategory', line.vat_bp)}</cac:Item>"
        f"<cac:Price>{_amount('PriceAmount', document.currency, net)}</cac:Price></cac:{tag}>"
        for number, (line, net) in enumerate(orders, 1)
    ]


def _late(document: Document, line: InvoiceLine) -> str:
    """The period of a line from before the bill's month (BT-134, BT-135): its own day."""
    if not line.late:
        return ""
    day = document.day(line.placed_ms).isoformat()
    return _period(day, day)


def _period(first: str, last: str) -> str:
    return (
        f"<cac:InvoicePeriod><cbc:StartDate>{first}</cbc:StartDate><cbc:EndDate>{last}</cbc:EndDate>"
        "</cac:InvoicePeriod>"
    )


@lru_cache(maxsize=256)
def _category(tag: str, rate_bp: int) -> str:
    """A VAT category: standard rated (S), or Z for a rate of nothing (UNCL 5305)."""
    return (
        f"<cac:{tag}><cbc:ID>{'S' if rate_bp else 'Z'}</cbc:ID>"
        f"<cbc:Percent>{_decimal(rate_bp)}</cbc:Percent>{_VAT}</cac:{tag}>"
    )


def _country(code: str) -> str:
    known = _code(_COUNTRY, code)
    return f"<cac:Country><cbc:IdentificationCode>{known}</cbc:IdentificationCode></cac:Country>"


def _amount(name: str, currency: str, cents: int) -> str:
    return f'<cbc:{name} currencyID="{currency}">{_decimal(cents)}</cbc:{name}>'


def _decimal(hundredths: int) -> str:
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02}"


def _code(form: re.Pattern[str], code: str) -> str:
    if form.fullmatch(code) is None:
        raise BadDocumentError(f"{code!r} is not of the form {form.pattern}")
    return code


def _number(text: str) -> str:
    """A document's number is taken as it is or not at all: another number is another document."""
    if not text.strip() or UNPRINTABLE.search(text):
        raise BadDocumentError(f"number {text!r} is empty or holds what cannot be printed")
    return escape(text)


def _name(text: str, what: str) -> str:
    """What names somebody or something, with the substitute for what cannot be printed.

    One text that was stored must not keep the documents of everybody else in its batch from being written.
    """
    if not text:
        raise BadDocumentError(f"{what} is empty")
    shown = UNPRINTABLE.sub(SUBSTITUTE, text)
    return escape(shown if shown.strip() else SUBSTITUTE)
