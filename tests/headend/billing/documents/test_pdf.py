"""The bill as a PDF: what a subscriber reads, what stands in the file for machines, always the same bytes."""

import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from headend.billing.documents import shown
from headend.billing.documents.document import BadDocumentError
from headend.billing.documents.language import UnknownCountryError
from headend.billing.documents.pdf import pdf
from headend.billing.documents.ubl import ubl
from tests.headend.billing.documents.bills import SAMPLES, at, bill, credit_note, line, promotion

XML = b"<a>\xc3\xa9</a>\n"


def opened(document, attachment=XML):
    return PdfReader(io.BytesIO(pdf(document, attachment)))


def texts(document):
    """Each page's text, with plain spaces."""
    return [" ".join(page.extract_text().split()) for page in opened(document).pages]


def said(document):
    return " ".join(texts(document))


# --- for machines


def test_the_file_says_that_it_is_pdf_a_3():
    metadata = opened(bill(line())).trailer["/Root"]["/Metadata"].get_data()
    assert b"<pdfaid:part>3</pdfaid:part>" in metadata
    assert b"<pdfaid:conformance>A</pdfaid:conformance>" in metadata


def test_the_file_carries_its_ubl_file_byte_for_byte():
    document = SAMPLES["promotions"]
    carried = opened(document, ubl(document))
    [associated] = carried.trailer["/Root"]["/AF"]
    told = associated.get_object()
    assert carried.attachments == {"INV-2026-000007.xml": [ubl(document)]}
    assert told["/UF"] == "INV-2026-000007.xml"
    assert told["/AFRelationship"] == "/Alternative"
    assert told["/EF"]["/F"].get_object()["/Subtype"] == "/application/xml"


def test_the_file_is_tagged_in_its_language_and_titled():
    carried = opened(bill(line(), country="BE", language="fr"))
    assert carried.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert carried.trailer["/Root"]["/Lang"] == "fr-BE"
    assert carried.metadata.title == "Facture INV-2026-000007"


def test_the_time_in_the_file_is_when_the_bill_was_issued():
    assert opened(bill(line())).metadata.creation_date_raw == "D:20261103080000Z"


def test_two_processes_give_the_same_bytes():
    program = (
        "import hashlib\n"
        "from tests.headend.billing.documents.bills import SAMPLES\n"
        "from headend.billing.documents.pdf import pdf\n"
        "made = b''.join(pdf(document, b'<a/>') for document in SAMPLES.values())\n"
        "print(hashlib.sha256(made).hexdigest())\n"
    )
    mine = hashlib.sha256(b"".join(pdf(document, b"<a/>") for document in SAMPLES.values())).hexdigest()
    for seed, zone in (("1", "Asia/Tokyo"), ("2", "America/New_York")):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "TZ": zone,
            "LANG": "C",
            "SOURCE_DATE_EPOCH": seed,
        }
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stdout.strip() == mine


# --- for a person


def test_the_bill_says_who_asks_for_what():
    told = said(SAMPLES["one film"])
    for words in (
        "Noordzee Televisie B.V.",
        "Voorbeeldkade 12",
        "1012 AB Amsterdam",
        "Btw-identificatienummer NL123456789B01",
        "Factuur",
        "acc-1",
        "INV-2026-000007",
        "3 november 2026",
        "oktober 2026",
        "Te betalen € 4,99",
    ):
        assert words in told


def test_a_line_says_when_what_and_how_much():
    assert "7 okt 2026 Het Zilveren Strand 21% € 12,99" in said(bill(line("Het Zilveren Strand", 1299)))


def test_days_on_the_page_are_those_of_the_accounts_zone():
    assert "8 okt 2026" in said(bill(line(placed_ms=at(2026, 10, 7, 22, 30))))


def test_a_late_line_says_that_it_is_from_an_earlier_month():
    assert "uit een eerdere maand" in said(SAMPLES["a late line"])
    assert "uit een eerdere maand" not in said(SAMPLES["one film"])


def test_a_promotion_says_its_category_and_what_it_takes_off():
    assert "Actie: welkom 21% € -1,00" in said(SAMPLES["promotions"])


def test_vat_is_told_for_each_rate_and_in_total():
    told = said(bill(line(), line(vat_bp=900)))
    assert "9% € 4,58 € 0,41 € 4,99" in told
    assert "21% € 4,12 € 0,87 € 4,99" in told
    assert "Totaal € 8,70 € 1,28 € 9,98" in told


def test_one_rate_needs_no_total():
    assert "Totaal" not in said(bill(line(), line()))


def test_rounding_is_told_where_there_is_some():
    assert "21% € 0,02 € 0,00 € 0,01 € 0,03" in said(SAMPLES["a rounding amount"])
    assert "Afronding" not in said(SAMPLES["one film"])


def test_a_credit_note_says_which_bill_it_corrects():
    told = said(SAMPLES["a credit note"])
    assert "Creditnota" in told
    assert "Corrigeert factuur INV-2026-000007" in told
    assert "Terug te ontvangen € 4,99" in told
    assert "Te betalen" not in told


def test_what_is_less_than_nothing_is_in_the_accounts_favour():
    assert "Uw tegoed € 0,99" in said(bill(line(cents=1), promotion(vat_bp=900)))


def test_pages_are_numbered_where_there_are_several():
    pages = texts(bill(*[line()] * 60))
    assert len(pages) > 1
    assert all(f"Pagina {number} van {len(pages)}" in text for number, text in enumerate(pages, 1))
    assert all("Omschrijving" in text for text in pages[:-1])
    assert "Pagina" not in said(SAMPLES["one film"])


@pytest.mark.parametrize(
    ("country", "language", "words"),
    [
        ("NL", "nl", ("€ 1.234,50", "7 okt 2026", "Te betalen", "Burgerlijk Wetboek")),
        ("BE", "nl", ("€ 1.234,50", "7 okt 2026", "Btw-nummer", "Wetboek van economisch recht")),
        ("BE", "fr", ("1 234,50 €", "7 oct. 2026", "À payer", "Code de droit économique")),
        ("NL", "fr", ("1 234,50 €", "7 oct. 2026", "Code civil néerlandais")),
        ("NL", "en", ("€1,234.50", "7 Oct 2026", "To pay", "Dutch Civil Code")),
        ("BE", "en", ("€1,234.50", "7 Oct 2026", "Code of Economic Law")),
    ],
)
def test_a_bill_speaks_the_language_of_its_account_and_the_law_of_its_country(country, language, words):
    told = said(bill(line(cents=123450), country=country, language=language))
    assert [word for word in words if word not in told] == []


# --- whatever a title says


@pytest.mark.parametrize(
    "title",
    ["#panic()", "*x* _y_ `z`", "$x^2$", "= Heading", "@ref <label>", "\\u{41}", "// gone", '"] #x', "'tis"],
)
def test_what_looks_like_markup_is_shown_as_it_is(title):
    assert title in said(bill(line(title)))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
@example("中文 🎬 \x00 \u202e \ue000 \ufffe \u2028")
@example("W" * 200)
@settings(max_examples=40)
def test_no_title_stops_a_bill(title):
    assert pdf(bill(line(title)), XML).startswith(b"%PDF-1.7")


def test_every_character_that_is_let_through_has_a_glyph():
    every = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    kept = "".join(one for one in every if shown.printable(one) == one)
    assert len(kept) > 2000
    assert pdf(bill(line(kept)), XML)


# --- what is refused


def test_a_bill_that_does_not_add_up_is_refused():
    with pytest.raises(BadDocumentError):
        pdf(bill(line(), groups=()), XML)


def test_a_country_without_legal_wording_is_refused():
    with pytest.raises(UnknownCountryError):
        pdf(replace(bill(line()), country="DE"), XML)


def test_an_unknown_zone_is_refused():
    with pytest.raises(BadDocumentError):
        pdf(bill(line(), zone="Europe/Atlantis"), XML)


def test_an_attachment_that_is_no_text_is_refused():
    with pytest.raises(BadDocumentError):
        pdf(bill(line()), b"\xff\xfe")


@pytest.mark.parametrize("number", ["", "a/b", "..\\b", "a b", "\u4e2d\x00"])
def test_a_number_that_is_no_file_name_is_refused(number):
    with pytest.raises(BadDocumentError):
        pdf(bill(line(), number=number), XML)


@pytest.mark.parametrize("library", ["typst", "babel"])
def test_without_the_extra_one_is_told_what_to_install(library):
    program = (
        f"import sys; sys.modules['{library}'] = None\n"
        "from headend.billing.documents.pdf import MissingExtraError, pdf\n"
        "from tests.headend.billing.documents.bills import bill, line\n"
        "from headend.billing.documents.ubl import ubl\n"
        "document = bill(line())\n"
        "assert ubl(document)\n"
        "try:\n    pdf(document, b'<a/>')\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install stb-telemetry[documents]" in done.stdout


def test_a_credit_of_the_rest_gives_the_rest():
    note = credit_note([line(cents=200)], line(cents=200))
    assert "€ 2,00" in said(note)
