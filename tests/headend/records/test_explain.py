import pytest

from headend.analytics.budget import recognition
from headend.records.explain import example, explain_measure, explain_profile
from shared.register import profile, profile_names
from shared.words import LANGUAGES

each_language = pytest.mark.parametrize("language", LANGUAGES)


def explained(name, measure, language="en"):
    return explain_measure(profile(name).measure(measure), profile(name), language)


@each_language
@pytest.mark.parametrize("name", profile_names())
def test_every_measure_of_every_profile_is_explained_in_every_language(name, language):
    found = explain_profile(profile(name), language)
    assert [one.measure for one in found.measures] == [one.name for one in profile(name).measures]
    sentences = found.sentences + [sentence for one in found.measures for sentence in one.sentences]
    assert all(sentence.endswith(".") and "{" not in sentence for sentence in sentences)


def test_a_measures_figures_are_those_of_the_register():
    found = explained("national", "genre-detail")
    assert (found.quota, found.cells, found.rho_micro, round(found.sigma, 1)) == (1, 68, 500, 31.6)
    assert found.recognised_week == recognition(0.0005)
    assert found.recognised_year == recognition(53 * 0.0005)


def test_the_sentences_say_quota_cells_example_noise_and_cost():
    told = explained("national", "genre-detail").sentences
    assert "Facts a week: 1, always, so that their number tells nothing." in told
    assert "Cells: 68." in told
    assert "Example: kind of programme within its genre: football (one minute)." in told
    assert "Noise: a sum is off by at most 62 boxes in 95 % of cases." in told
    assert "Cost: rho 0.0005 a week, 10 % of the profile's." in told


def test_a_timed_measures_noise_is_told_in_hours():
    told = explained("small", "viewing").sentences
    # 1.96 sigma V = 1.96 x 14.142 x 80 h; reach 1.96 sigma sqrt 2.
    assert "Noise: a sum is off by at most 2,217 hours, and by 39 boxes, in 95 % of cases." in told


def test_a_measure_by_region_says_the_cells_of_one():
    assert "Cellen: 11 voor elke regio." in explained("regional", "genre-region", "nl").sentences


def test_what_is_drawn_from_is_told_orders_for_orders_and_minutes_for_minutes():
    assert explained("small", "ordered-genre").sentences[1].startswith("Of all orders of the week")
    assert explained("small", "genre").sentences[1].startswith("Of all minutes viewed in the week")
    assert explained("regional", "genre-reach").sentences[1].startswith("For each cell the box says whether")
    assert "80 hours" in explained("small", "viewing").sentences[1]


def test_an_example_is_a_fact_that_a_box_may_send():
    assert (
        example(profile("small").measure("viewing"), "nl")
        == "kijktijd: alles wat is bekeken, 3/16 van 80 uur"
    )


def test_a_profile_says_its_facts_and_what_a_reader_learns():
    found = explain_profile(profile("small"), "en")
    assert (found.facts, found.rho_micro) == (3, 12_500)
    assert "recognises one household's week with 6.9 % success" in found.sentences[-1]
    assert "with 31 %" in found.sentences[-1]
