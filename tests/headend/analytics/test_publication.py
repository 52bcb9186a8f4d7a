import csv
import io
import re
import xml.etree.ElementTree as ET
from urllib.parse import parse_qsl

import msgspec
import pytest

from headend.analytics.publication import NoSuchDownloadError
from headend.analytics.series import Break, Why
from headend.analytics.store import Spending, StoredRelease, WeekState
from headend.disclosure import Cleared, Kind, Recipient
from headend.kit.charts import Bar, bar_chart
from headend.kit.side import Page
from shared.register import profile
from shared.weeks import Week
from tests.builders import visit
from tests.headend.analytics.builders import WEEK, Town, closed
from tests.headend.analytics.releases import genre, noisy, table

COUNTS = [200, 160, 150, 60, 40, 20, 10, 5, 3, -8, 0]


def add_release(town: Town, week: Week = WEEK, counts: list[int] = COUNTS) -> StoredRelease:
    small = profile("small")
    measures = [
        genre(counts),
        noisy(small.measure("viewing"), [2773], [7467]),
        noisy(small.measure("ordered-genre"), [60, *[2] * 17]),
    ]
    release = StoredRelease(week, b'{"manifest":1}', msgspec.json.encode(table(measures, 640, week=week)))

    def enter(desk) -> None:
        desk.enter_release(release)
        desk.finish(week, WeekState.RELEASED, 0)

    town.side.store.at_release_desk(enter)
    return release


def popularity(town: Town, path: str = "popularity", *, language: str = "en", **args: str) -> str:
    return shown(town, path, language=language, **args)


def shown(town: Town, path: str, *, language: str = "en", **args: str) -> str:
    """What a page of the side shows inside the console's frame."""
    (part,) = [one for one in town.side.side.pages if one.path == path]
    page = part.render(visit(args, "privacy-officer", path=path, language=language))
    return page.inside if isinstance(page, Page) else page


def test_before_the_release_nothing_of_popularity_can_be_seen(open_town: Town) -> None:
    for _ in range(7):
        open_town.send_genre(4)
    page = popularity(open_town)
    assert "there is no release yet" in page
    assert "sports" not in page
    with pytest.raises(NoSuchDownloadError):
        open_town.side.download("estimates", "csv", {})
    for part in open_town.side.side.pages:
        if part.path != "measures":
            assert "sports" not in shown(open_town, part.path)
    assert all("cell" not in labels for _, labels, _ in open_town.side.side.metrics())


def test_the_page_shows_shares_with_intervals_ties_and_what_is_withheld(town: Town) -> None:
    add_release(town)
    page = popularity(town, window="week")
    assert "31.2% <small>(" in page
    assert "(tie)" in page
    assert "withheld: too small" in page
    assert "640 of 1,280 (50.0%)" in page
    assert "Shares are withheld" in popularity(town, "popularity/ordered", window="week")
    assert "recognises one household" in page
    assert "does not contain the error of this assumption" in page
    assert "/console/popularity/manifest.json?until=2026-W41" in page
    assert "Simulated" in page


def test_a_withheld_value_stands_nowhere_on_the_page(town: Town) -> None:
    add_release(town)
    page = popularity(town, window="week")
    row = page[page.index('<th scope="row">other') :]
    assert "%" not in row[: row.index("</tr>")]


def test_what_a_query_says_is_never_written_into_the_page(town: Town) -> None:
    add_release(town)
    evil = "<script>alert(1)</script>"
    for part in town.side.side.pages:
        args = dict.fromkeys(("window", "until", "genre", "of", "series", "weeks", "before"), evil)
        assert "<script" not in shown(town, part.path, **args)
        assert "alert(1)" not in shown(town, part.path, **args)


def test_text_of_a_release_is_escaped(town: Town) -> None:
    bars = [Bar('<b>"x"', 0.5, 0.4, 0.6), Bar("y & z", withheld="why")]
    chart = bar_chart("c", "<i>", "a & b", bars, str)
    assert "<b>" not in chart
    assert "<i>" not in chart
    ET.fromstring(chart)  # noqa: S314 (our own chart)


def test_a_chart_can_be_read_aloud_and_runs_nothing(town: Town) -> None:
    add_release(town)
    page = popularity(town, window="week")
    chart = page[page.index("<svg") : page.index("</svg>") + 6]
    tree = ET.fromstring(chart)  # noqa: S314 (our own chart)
    space = "{http://www.w3.org/2000/svg}"
    title, text = tree.find(f"{space}title"), tree.find(f"{space}desc")
    assert title is not None
    assert text is not None
    assert tree.get("role") == "img"
    assert tree.get("aria-labelledby") == f"{title.get('id')} {text.get('id')}"
    assert "film or drama 31.2%" in (text.text or "")
    assert "<script" not in page
    assert "withheld" in chart


def test_a_chart_of_nothing_is_still_a_chart() -> None:
    assert ET.fromstring(bar_chart("c", "t", "d", [Bar("a")], str)).tag.endswith("svg")  # noqa: S314 (our own chart)


@pytest.mark.parametrize(
    ("high", "top"), [(0.31, "0.4"), (0.9, "1.0"), (3.0, "4.0"), (42, "50.0"), (230, "250.0")]
)
def test_a_chart_ends_at_a_round_number(high: float, top: str) -> None:
    chart = bar_chart("c", "t", "d", [Bar("a", high, high, high)], str)
    assert f">{top}</text>" in chart


def test_windows_take_as_many_weeks_as_follow_each_other(town: Town) -> None:
    for week in (0, 1, 3, 4):
        add_release(town, WEEK.plus(week))
    choose = town.side.publication.choose

    def weeks(**args: str) -> list[str]:
        return [str(release.week) for release in choose(args).releases]

    assert weeks(window="week") == ["2026-W45"]
    assert weeks(window="four") == ["2026-W44", "2026-W45"]
    assert weeks(window="quarter", until="2026-W42") == ["2026-W41", "2026-W42"]
    assert weeks(window="four", until="2026-W43") == ["2026-W41", "2026-W42"]
    assert "2 follow each other" in popularity(town, window="four")
    assert choose({"window": "four"}).stopped == Break("2026-W44", "", Why.NO_RELEASE, missing="2026-W43")
    assert "follow each other" not in popularity(town, window="week")


def end(town: Town, week: Week, state: WeekState) -> None:
    town.side.store.at_release_desk(lambda desk: desk.finish(week, state, 0))


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (WeekState.BELOW_FLOOR, "2026-W43 has no release, because too few accounts took part"),
        (WeekState.OVER_BUDGET, "2026-W43 has no release, because the budget does not cover it"),
    ],
)
def test_page_and_report_say_where_and_why_the_series_breaks(town: Town, state: WeekState, why: str) -> None:
    for week in (0, 1, 3, 4):
        add_release(town, WEEK.plus(week))
    end(town, WEEK.plus(2), state)
    sentence = f"The series begins with 2026-W44: {why}."
    assert sentence in popularity(town, window="four")
    for form in ("html", "csv", "json"):
        assert sentence in town.side.download("report", form, {"window": "four"}).payload.decode()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"register": "other"}, Break("2026-W42", "", Why.REGISTER)),
        ({"profile": "regional"}, Break("2026-W42", "", Why.PROFILE, earlier="small", later="regional")),
    ],
)
def test_a_window_stops_where_register_or_profile_changed(
    town: Town, change: dict[str, str], why: Break
) -> None:
    add_release(town)
    later = table([genre(COUNTS)], 640, week=WEEK.plus(1))
    stored = StoredRelease(WEEK.plus(1), b"{}", msgspec.json.encode(msgspec.structs.replace(later, **change)))
    town.side.store.at_release_desk(lambda desk: desk.enter_release(stored))
    chosen = town.side.publication.choose({"window": "four"})
    assert [str(release.week) for release in chosen.releases] == ["2026-W42"]
    assert chosen.stopped == why


def test_the_first_release_is_no_break_that_anybody_need_explain(town: Town) -> None:
    add_release(town)
    assert "begins with 2026-W41: it is the first release." in popularity(town, window="week")


def test_a_window_is_compared_with_the_one_before_and_the_page_says_with_which(town: Town) -> None:
    for week in range(8):
        moved = [120, 160, 150, 140, *COUNTS[4:]] if week >= 4 else COUNTS
        add_release(town, WEEK.plus(week), moved)
    page = popularity(town, window="four")
    assert "Compared with the window before: 2026-W41 to 2026-W44." in page
    assert "Change against 2026-W41 to 2026-W44, panel" in page
    assert '<strong class="arrow">up</strong><br>+12.' in page
    assert '<strong class="arrow">down</strong>' in page
    assert "Holm" in page
    assert "Change against" not in popularity(town, window="quarter")
    assert "the series does not go back so far" in popularity(town, window="quarter")


def test_a_window_is_compared_with_the_same_one_a_year_before(town: Town) -> None:
    for back in (0, 1, 51, 52, 53, 54):
        add_release(town, Week(2027, 41).plus(-back))
    chosen = town.side.publication.choose({"window": "week", "until": "2027-W41"})
    assert [one.week for one in chosen.year] == ["2026-W41"]
    assert [one.week for one in chosen.before] == ["2027-W40"]
    four = town.side.publication.choose({"window": "four", "until": "2027-W41"})
    assert four.year == []


def test_a_window_is_not_compared_with_one_of_another_register(town: Town) -> None:
    before = msgspec.structs.replace(table([genre(COUNTS)], 640, week=Week(2026, 41)), register="other")
    stored = StoredRelease(Week(2026, 41), b"{}", msgspec.json.encode(before))
    town.side.store.at_release_desk(lambda desk: desk.enter_release(stored))
    add_release(town, Week(2027, 41))
    assert town.side.publication.choose({"window": "week"}).year == []
    assert "Not compared with the window a year before" in popularity(town, window="week")


def test_a_download_has_passed_the_disclosure_table(town: Town) -> None:
    release = add_release(town)
    for kind, form, what in (
        ("report", "html", Kind.ESTIMATES),
        ("report", "csv", Kind.ESTIMATES),
        ("report", "json", Kind.ESTIMATES),
        ("estimates", "csv", Kind.ESTIMATES),
        ("estimates", "json", Kind.ESTIMATES),
        ("release", "json", Kind.RELEASE),
        ("manifest", "json", Kind.RELEASE),
    ):
        cleared = town.side.download(kind, form, {"until": str(WEEK)})
        assert isinstance(cleared, Cleared)
        assert (cleared.kind, cleared.recipient) == (what, Recipient.OPERATOR)
    assert town.side.download("release", "json", {}).payload == release.table
    assert town.side.download("manifest", "json", {}).payload == release.manifest


def test_every_link_of_a_page_leads_to_a_download_that_is_offered(town: Town) -> None:
    add_release(town)
    town.side.store.at_release_desk(lambda desk: desk.spend(Spending(WEEK, "genre", 7500)))
    offered = {file.path: file for file in town.side.side.downloads}
    there = {part.path for part in town.side.side.pages}
    pages = "".join(shown(town, path) for path in there)
    links = {
        (path, query)
        for path, query in re.findall(r'href="/console/([^?"]+)(?:\?([^"]*))?"', pages)
        if path not in there
    }
    assert {path for path, _ in links} == set(offered)
    for path, query in links:
        attachment = offered[path].make(visit(dict(parse_qsl(query.replace("&amp;", "&")))))
        assert attachment.cleared.payload
        assert attachment.filename.endswith(path.rsplit(".")[-1])
        assert attachment.content_type.startswith(("text/csv", "text/html", "application/json"))


@pytest.mark.parametrize(
    ("kind", "form", "args"),
    [
        ("estimates", "xml", {}),
        ("counters", "json", {}),
        ("manifest", "json", {"until": "2026-W50"}),
        ("release", "json", {"until": "never"}),
    ],
)
def test_a_download_that_does_not_exist_is_a_clear_error(
    town: Town, kind: str, form: str, args: dict[str, str]
) -> None:
    add_release(town)
    with pytest.raises(NoSuchDownloadError):
        town.side.download(kind, form, args)


def test_the_csv_tells_panel_and_all_boxes_apart_and_leaves_withheld_ones_empty(town: Town) -> None:
    add_release(town)
    content = town.side.download("estimates", "csv", {"window": "week"}).payload.decode()
    rows = list(csv.DictReader(io.StringIO(content)))
    drama = [row for row in rows if row["cell"] == "film-drama"]
    assert [(row["of"], row["figure"], row["value"]) for row in drama] == [
        ("panel", "share", "0.3125"),
        ("all boxes", "share", "0.3125"),
    ]
    assert "refuse" in drama[1]["reading"]
    leisure = next(row for row in rows if row["cell"] == "leisure")
    assert leisure["withheld"]
    assert (leisure["low"], leisure["value"], leisure["high"]) == ("", "", "")
    assert {row["simulated"] for row in rows} == {"True"}


def test_the_json_download_holds_no_withheld_value(town: Town) -> None:
    add_release(town)
    found = msgspec.json.decode(town.side.download("estimates", "json", {"window": "week"}).payload)
    cells = {cell["values"][0]: cell for cell in found["measures"][0]["groups"][0]["cells"]}
    assert cells["film-drama"]["panel"]
    assert (cells["leisure"]["panel"], cells["leisure"]["all_boxes"]) == ({}, {})


def test_the_page_of_releases_tells_states_guarantee_and_budget(town: Town) -> None:
    town.publish()
    town.hand_totals()
    town.clock.advance_to(closed())
    town.side.release(WEEK)
    assert "released" in shown(town, "releases")
    page = shown(town, "budget")
    assert "7.56" in page
    assert "0.0125" in page
    assert "it is covered" in page


def test_popularity_is_for_analysts_and_privacy_officers_only(town: Town) -> None:
    for page in town.side.side.pages:
        roles = {"privacy-officer"} if page.path == "consent" else {"analyst", "privacy-officer"}
        assert page.roles == roles
