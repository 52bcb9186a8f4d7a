import dataclasses

import pytest

from headend.disclosure import TABLE
from headend.records import markdown
from headend.records.dpia import assessment, risks
from headend.records.facts import facts
from headend.records.printed import printed_notice
from headend.records.processing import processing_record
from shared.field_register import declared, places
from shared.notice import notice
from shared.register import profile
from shared.words import LANGUAGES
from tests.builders import SETTINGS
from tests.headend.records.golden import FOLDER, RISKS, pages, risks_toml, threats

NATIONAL = dataclasses.replace(SETTINGS, profile="national", country="BE", regions=("north", "south"))
AGAIN = "write it anew: python -m tests.headend.records.golden"


@pytest.mark.parametrize("name", pages())
def test_the_page_in_the_docs_is_what_the_system_says_of_itself(name):
    assert (FOLDER / name).read_text() == pages()[name], AGAIN


def test_no_page_is_left_that_nobody_makes():
    assert {path.name for path in FOLDER.iterdir()} == set(pages())


def test_the_assessment_takes_every_attack_and_limit_of_the_threat_model():
    rows, limits = threats()
    assert len(rows) > 20
    assert [[one.attack, one.answer, one.remains, one.shown_by] for one in risks().risks] == rows, AGAIN
    assert risks().limits == limits
    assert RISKS.read_text() == risks_toml()


def test_every_place_of_the_field_register_is_in_one_activity():
    assert sorted(place for one in facts().activities for place in one.places) == sorted(places())


def test_every_table_and_message_is_recorded_with_its_period():
    told = processing_record(SETTINGS)
    for place in places():
        for name, entry in declared(place).items():
            row = next(line for line in told.splitlines() if line.startswith(f"| `{name}` | {entry.purpose}"))
            assert entry.retention in row
            assert all(one in row for one in entry.fields)


def test_every_recipient_of_the_disclosure_table_is_recorded():
    told = processing_record(SETTINGS)
    assert all(f"| {kind} | {to} | {purpose} |" in told for kind, to, purpose in TABLE)
    assert "advertiser |" not in told


def test_the_assessment_has_the_figures_of_its_own_profile():
    told = assessment(NATIONAL)
    assert "| 1 | 0.005 | 0.56 | 6.1 % |" in told
    assert "fewer than 50,000 accounts" in told
    assert "Regions: 2." in told
    for measure in profile("national").measures:
        assert f"| `{measure.name}` |" in told
    assert "0.91" in assessment(SETTINGS)


@pytest.mark.parametrize("make", [assessment, processing_record])
def test_what_only_the_controller_can_say_is_marked_and_a_lawyer_is_asked_for(make):
    told = make(SETTINGS)
    assert told.count("**[fill in: ") >= 7
    assert "checked by a lawyer" in told


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_printed_notice_is_the_boxes_notice_in_full(language):
    told = printed_notice(NATIONAL, language)
    shown = notice(language)
    for part in shown.parts:
        assert f"## {part.head}" in told
        assert all(text in told for text in (*part.text, *part.listed))
    assert shown.foot in told


def test_the_printed_notice_names_the_authority_of_the_country_or_leaves_it_open():
    assert "gegevensbeschermingsautoriteit.be" in printed_notice(NATIONAL, "nl")
    abroad = dataclasses.replace(SETTINGS, country="XX")
    assert "| Autorité de contrôle | **[à compléter: Autorité de contrôle]** |" in printed_notice(
        abroad, "fr"
    )


def test_a_bar_in_a_cell_begins_no_other():
    assert markdown.table(["a"], [["x | y"]]).splitlines()[-1] == "| x \\| y |"
