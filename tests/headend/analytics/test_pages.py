"""The pages of popularity and of privacy over invented releases: what they tell, and what they never do."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

import headend.analytics
from benchmarks.console.releases import REGIONS, fill
from headend.analytics.kept import Kept
from headend.analytics.shelf import Shelf
from headend.analytics.store import Spending, WeekState
from headend.analytics.views import VIEWS
from headend.kit.language import Language
from headend.kit.side import Page, Visit
from shared.genres import GENRES
from shared.register import profile
from shared.weeks import Week
from shared.words import words_of
from tests.builders import visit
from tests.headend.analytics.builders import WEEK, Town, make_town, over
from tests.headend.analytics.test_publication import add_release

TEMPLATES = Path(headend.analytics.__file__).parent / "templates"
PATHS = [view.path for view in VIEWS] + [
    *("trends", "releases", "measures", "budget", "consent", "directories"),
]


def shown(town: Town, path: str, *, language: str = "en", **args: str) -> str:
    (part,) = [one for one in town.side.side.pages if one.path == path]
    page = part.render(visit(args, "privacy-officer", path=path, language=language))
    return page.inside if isinstance(page, Page) else page


@pytest.fixture
def regional(tmp_path: Path) -> Iterator[Town]:
    town = make_town(tmp_path, profile=profile("regional"))
    fill(town.side.store, WEEK, 6, "regional")
    yield town
    town.side.close()


@pytest.fixture
def small(town: Town) -> Town:
    fill(town.side.store, WEEK, 6, "small")
    return town


# --- nothing before the release


def test_no_page_tells_anything_of_a_week_before_its_release(open_town: Town) -> None:
    for _ in range(7):
        open_town.send_genre(4)
    before = {path: shown(open_town, path) for path in PATHS}
    for _ in range(30):
        open_town.send_genre(2)
    assert {path: shown(open_town, path) for path in PATHS} == before
    for path in set(PATHS) - {"measures", "releases", "budget", "directories"}:
        assert "there is no release yet" in before[path]
    told = "".join(before.values())
    assert not [genre for genre in set(GENRES) - {"other", "show"} if genre in told]


def test_the_week_that_is_open_after_releases_is_on_no_page_of_popularity(small: Town) -> None:
    week = WEEK.plus(6)
    small.publish(week)
    small.clock.advance_to(over(week))
    before = {path: shown(small, path) for path in PATHS}
    tiles = small.side.side.tiles(visit(role="analyst"))
    for _ in range(5):
        small.send_genre(3, week)
    assert {path: shown(small, path) for path in PATHS} == before
    assert small.side.side.tiles(visit(role="analyst")) == tiles
    for path in set(PATHS) - {"releases", "budget", "directories"}:
        assert str(week) not in before[path]


# --- popularity


def test_the_first_page_answers_in_a_sentence_which_genre_leads_and_how_sure_that_is(regional: Town) -> None:
    page = shown(regional, "popularity")
    answer = re.search(r'<p class="verdict">(.*?)</p>', page, re.DOTALL)
    assert answer
    assert re.search(
        r"most popular genre is film or drama: \d\d\.\d% .*95% interval \d\d\.\d% to \d\d\.\d%", answer[1]
    )
    assert "Estimated for all boxes: film or drama" in answer[1]
    assert page.index("verdict") < page.index("recognises one household") < page.index("<svg")
    assert "Signed manifest of 2026-W46" in page
    assert "popularity/estimates.csv?window=week&amp;until=2026-W46&amp;table=genre" in page


def test_a_tie_for_the_first_place_is_told_as_one(town: Town) -> None:
    add_release(town, counts=[160, 155, 150, 60, 40, 20, 10, 5, 3, -8, 0])
    page = shown(town, "popularity", window="week")
    assert "cannot be told for certain: film or drama, news and show cannot be told from the first" in page


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("small", ["popularity", "popularity/minutes", "popularity/ordered"]),
        (
            "regional",
            [
                *("popularity", "popularity/minutes", "popularity/reach", "popularity/shift"),
                *("popularity/daypart", "popularity/region", "popularity/ordered"),
            ],
        ),
        (
            "national",
            [
                *("popularity", "popularity/detail", "popularity/minutes", "popularity/reach"),
                *("popularity/shift", "popularity/daypart", "popularity/region", "popularity/ordered"),
            ],
        ),
    ],
)
def test_the_tabs_are_what_the_profile_measures(tmp_path: Path, name: str, paths: list[str]) -> None:
    town = make_town(tmp_path, profile=profile(name))
    before = shown(town, "popularity")
    fill(town.side.store, WEEK, 4, name)
    for page in (before, shown(town, "popularity")):
        tabs = page[page.index('class="tabs"') : page.index("</nav>")]
        assert re.findall(r'href="/console/([\w/]+)"', tabs) == paths
        assert tabs.count('aria-current="page"') == 1
    for path in paths:
        page = shown(town, path)
        assert "do not tell this" not in page
        assert page.count("<figure") <= page.count("<table")
        assert "popularity/estimates.csv" in page
    town.side.close()


def test_a_page_that_the_measures_cannot_fill_says_so(small: Town) -> None:
    assert "The measures of these weeks do not tell this." in shown(small, "popularity/region")


def test_a_small_panel_begins_with_four_weeks_and_says_why(small: Town) -> None:
    page = shown(small, "popularity")
    assert "2026-W43 to 2026-W46" in page
    assert re.search(
        r"In the newest week \d+ boxes reported: single weeks of so small a panel are too noisy", page
    )
    asked = shown(small, "popularity", window="week")
    assert "too noisy" not in asked
    assert '<option value="week" selected>' in asked


def test_a_large_panel_begins_with_one_week(regional: Town) -> None:
    page = shown(regional, "popularity")
    assert '<option value="week" selected>' in page
    assert "come first" not in page


def test_a_page_whose_figures_are_withheld_begins_with_a_longer_window(small: Town) -> None:
    page = shown(small, "popularity/ordered")
    assert '<option value="quarter" selected>' in page
    assert "so a quarter comes first" in page


def test_every_page_is_the_same_when_it_is_asked_again(regional: Town) -> None:
    for path in PATHS:
        assert shown(regional, path) == shown(regional, path)


def test_what_is_kept_gives_way_to_a_new_release(small: Town) -> None:
    assert "2026-W46" in shown(small, "popularity")
    fill(small.side.store, WEEK.plus(6), 1, "small", seed=2)
    assert "2026-W44 to 2026-W47" in shown(small, "popularity")


def test_a_file_that_names_no_week_is_of_the_newest_release_also_after_a_new_one(small: Town) -> None:
    def weeks() -> list[str]:
        return list(msgspec.json.decode(small.side.download("estimates", "json", {}).payload)["weeks"])

    assert weeks()[-1] == "2026-W46"
    fill(small.side.store, WEEK.plus(6), 1, "small", seed=2)
    assert weeks()[-1] == "2026-W47"


def test_a_week_that_is_filled_in_between_is_seen(small: Town) -> None:
    fill(small.side.store, WEEK.plus(7), 1, "small", seed=2)
    assert "2026-W48: 8" in shown(small, "popularity")
    fill(small.side.store, WEEK.plus(6), 1, "small", seed=3)
    assert "2026-W45 to 2026-W48" in shown(small, "popularity")


def test_what_was_asked_for_least_lately_is_not_kept() -> None:
    made: list[int] = []
    kept: Kept[int, int] = Kept(2)

    def ask(key: int) -> int:
        return kept.get(key, lambda: made.append(key) or key)

    for key in (1, 2, 1, 3, 1, 2):
        assert ask(key) == key
    assert made == [1, 2, 3, 2]
    assert len(kept) == 2


def test_a_page_reads_no_more_releases_than_it_shows(small: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(small.side.store, WEEK.plus(6), 24, "small", seed=3)
    read: list[Week] = []
    real = Shelf.release
    monkeypatch.setattr(Shelf, "release", lambda shelf, week: read.append(week) or real(shelf, week))
    shown(small, "popularity")
    assert 0 < len(set(read)) <= 9
    read.clear()
    shown(small, "popularity")
    assert len(read) <= 10


# --- regions


def test_the_map_has_a_square_for_each_province_and_a_table_with_intervals(regional: Town) -> None:
    page = shown(regional, "popularity/region", window="four", genre="news")
    drawn = page[page.index("<svg") : page.index("</svg>")]
    assert drawn.count('<g class="square') == 12
    assert "<title>Utrecht: " in drawn
    assert "Regions that are no single province" not in drawn
    table = page[page.index("<table") : page.index("</table>")]
    for region in REGIONS:
        assert f'<th scope="row">{region}</th>' in table
    assert "all regions, weighted by boxes" in table
    assert "News" in page


def test_the_map_of_all_boxes_is_told_apart_from_that_of_the_panel(regional: Town) -> None:
    panel = shown(regional, "popularity/region", window="four", genre="news")
    everyone = shown(regional, "popularity/region", window="four", genre="news", of="all")
    assert "Figures of reporting boxes" in panel
    assert "Estimates for all boxes" in everyone
    intervals = [re.findall(r'font-size="11"[^>]*>([^<]+ to [^<]+)<', page) for page in (panel, everyone)]
    assert len(intervals[0]) == len(intervals[1]) > 5
    assert intervals[0] != intervals[1]


def test_a_region_that_is_withheld_has_no_figure_on_the_map(regional: Town) -> None:
    page = shown(regional, "popularity/region", window="week", genre="other")
    drawn = page[page.index("<svg") : page.index("</svg>")]
    held = [part for part in drawn.split("<g ")[1:] if "-hatch" in part.split("</g>")[0]]
    assert held
    assert all("%" not in part.split("</g>")[0] for part in held)


# --- trends


def test_trends_tell_one_cell_week_by_week_and_against_earlier_windows(small: Town) -> None:
    page = shown(small, "trends", series="genre:news", weeks="26")
    assert "Genres: news" in page
    assert page.count('<th scope="row">2026-W4') == 6
    assert "against 2026-W45" in page
    assert "not comparable" in page
    assert "popularity/trend.csv?series=genre%3Anews&amp;of=panel&amp;weeks=26&amp;until=2026-W46" in page


def test_a_week_without_release_is_a_gap_in_the_series_with_its_reason(small: Town) -> None:
    def end(desk) -> None:
        desk.finish(WEEK.plus(6), WeekState.BELOW_FLOOR, 0)

    small.side.store.at_release_desk(end)
    fill(small.side.store, WEEK.plus(7), 2, "small", seed=2)
    page = shown(small, "trends")
    assert "2026-W47: not released: too few accounts took part" in page
    drawn = page[page.index("<svg") : page.index("</svg>")]
    assert drawn.count('class="line"') == 2


def test_the_file_of_a_series_holds_what_its_page_shows(small: Town) -> None:
    (file,) = [one for one in small.side.side.downloads if one.path == "popularity/trend.csv"]
    attachment = file.make(visit({"series": "viewing:", "of": "all"}, "analyst", language="nl"))
    lines = attachment.cleared.payload.decode().splitlines()
    assert attachment.filename == "trend-viewing-2026-W41-2026-W46-nl.csv"
    assert lines[0] == "week,measure,cell,of,figure,low,value,high,withheld"
    assert len(lines) == 7
    assert lines[1].startswith("2026-W41,viewing,all,all boxes,audience,")


# --- releases and budget


def test_weeks_are_told_by_pages_newest_first(small: Town) -> None:
    fill(small.side.store, WEEK.plus(6), 50, "small", seed=2)
    first = shown(small, "releases")
    assert first.count('<th scope="row">') == 53
    older = re.search(r'releases\?before=(\S+?)" rel="next"', first)
    assert older
    second = shown(small, "releases", before=older[1])
    assert re.findall(r'<th scope="row">([\w-]+)</th>', second) == ["2026-W43", "2026-W42", "2026-W41"]
    assert "signed manifest" in second


def test_the_budget_tells_what_is_left_and_what_would_be_refused(small: Town) -> None:
    page = shown(small, "budget")
    assert "it is covered" in page
    assert "the most that may be spent: 0.6625" in page
    assert page.count("<svg") == 2
    assert "<dd>0.5875</dd>" in page
    small.side.store.at_release_desk(lambda desk: desk.spend(Spending(WEEK.plus(6), "genre", 650_000)))
    page = shown(small, "budget")
    assert "it would be refused" in page
    assert '<strong class="alarm">refused</strong>' in page
    tile = next(one for one in small.side.side.tiles(visit(role="analyst")) if one.href == "/console/budget")
    assert tile.alarm


def test_the_ledger_counts_each_week_with_the_fifty_two_before_it(small: Town) -> None:
    fill(small.side.store, WEEK.plus(6), 54, "small", seed=2)
    (file,) = [one for one in small.side.side.downloads if one.path == "budget/ledger.csv"]
    rows = [line.split(",") for line in file.make(visit()).cleared.payload.decode().splitlines()]
    assert rows[0] == ["week", "rho_micro", "rho_micro_in_53_weeks"]
    assert len(rows) == 61
    assert [int(row[2]) for row in rows[1:3]] == [12_500, 25_000]
    assert {int(row[2]) for row in rows[53:]} == {53 * 12_500}


# --- privacy


def test_the_consent_rate_is_of_drawn_boxes_and_of_released_weeks(small: Town) -> None:
    small.publish(WEEK.plus(6))
    small.hand_totals(WEEK.plus(6), asked=400)
    page = shown(small, "consent")
    assert "2026-W46" in page
    assert "2026-W47" not in page
    table = small.side.publication.shelf.table(WEEK.plus(5))
    assert f"{table.accounts_asked / 2000:.1%}" in page
    (file,) = [one for one in small.side.side.downloads if one.path == "consent/weeks.csv"]
    assert file.roles == {"privacy-officer"}
    assert len(file.make(visit()).cleared.payload.decode().splitlines()) == 7


def test_measures_are_told_with_purpose_owner_quota_cells_and_cost(regional: Town) -> None:
    page = shown(regional, "measures")
    for one in profile("regional").measures:
        assert f'id="measure-{one.name}"' in page
        assert one.plain in page
    assert "learn which categories of programmes are popular" in page
    assert '<td class="number">132</td>' in page
    assert '<td class="number">0.0125</td>' in page


def test_a_measure_whose_review_has_passed_is_not_told_as_taken(tmp_path: Path) -> None:
    town = make_town(tmp_path, first_week=Week(2027, 50))
    page = shown(town, "measures")
    assert 'id="measure-genre"' in page
    assert 'id="measure-ordered-genre"' not in page
    town.side.close()


def test_directories_are_told_by_pages_with_their_hash_and_their_times(small: Town) -> None:
    fill(small.side.store, WEEK.plus(6), 24, "small", seed=2)
    page = shown(small, "directories")
    newest = small.side.store.directories(None, 1)[0]
    assert newest.sha256 in page
    assert "5 Oct 2026, 02:00" not in page
    assert page.count('class="hash"') == 26
    older = re.search(r'directories\?before=(\S+?)" rel="next"', page)
    assert older
    last = shown(small, "directories", before=older[1])
    assert "5 Oct 2026, 02:00" in last
    assert "19 Oct 2026, 02:00" in last
    assert last.count('class="hash"') == 4


# --- languages


class Marked(Language):
    """A language in which every message is marked, so that what was never one is seen."""

    def text(self, message: str, **values: object) -> str:
        return f"«{message.format(**values) if values else message}»" if message else ""

    def plural(self, one: str, many: str, n: int, **values: object) -> str:
        return self.text(one if n == 1 else many, n=self.number(n), **values)


class Texts(HTMLParser):
    """What a person reads or hears of a page: texts, and attributes that are read out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"aria-label", "title"}]

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def unmarked(page: str) -> set[str]:
    """Words of at least three letters that stand in no message."""
    text = " \n ".join(Texts(page).found)
    while "«" in text:
        text, changed = re.subn(r"«[^«»]*»", " ", text)
        assert changed, text
    return set(re.findall(r"[^\W\d_]{3,}", text))


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_holds_words_outside_of_messages(template: Path) -> None:
    text = template.read_text()
    for tag in (r"\{#.*?#\}", r"\{%.*?%\}", r"\{\{.*?\}\}", r"<[^>]*>"):
        text = re.sub(tag, " ", text, flags=re.DOTALL)
    assert re.findall(r"[^\W\d_]{3,}", text) == []


@pytest.mark.parametrize("path", PATHS)
def test_every_word_of_a_page_can_be_translated(regional: Town, path: str) -> None:
    marked = Marked("nl", ZoneInfo("Europe/Amsterdam"))
    (part,) = [one for one in regional.side.side.pages if one.path == path]
    page = part.render(Visit(path, {"window": "four"}, "erin", "privacy-officer", marked, "token"))
    dutch = words_of("nl")
    told = " ".join(
        [
            *(
                text
                for words in (dutch.values, dutch.names, dutch.measures, dutch.purposes, dutch.owners)
                for text in words.values()
            ),
            *(dutch.explain.minute, dutch.explain.order, dutch.explain.timed, dutch.explain.untimed),
            *REGIONS,
            *("regional mrt mei dec okt nov genre reach shift daypart region ordered viewing"),
        ]
    )
    known = {word.casefold() for word in re.findall(r"[^\W\d_]{3,}", told)}
    codes = {"genre", "reach", "viewing", "shift", "daypart", "region", "ordered", "regional"}
    months = {"okt", "nov", "dec", "jan", "feb", "mrt", "mei"}
    hashes = set(
        re.findall(
            r"[^\W\d_]{3,}", " ".join(re.findall(r"\b[0-9a-f]{64}\b", page if isinstance(page, str) else ""))
        )
    )
    left = unmarked(page.inside if isinstance(page, Page) else page)
    assert {word for word in left if word.casefold() not in known | codes | months} - hashes == set()


def test_a_page_in_dutch_writes_names_and_figures_in_dutch(regional: Town) -> None:
    page = shown(regional, "popularity", language="nl")
    assert "film of drama" in page
    assert re.search(r"\d\d,\d%", page)
    assert not re.search(r"\d\d\.\d%", page)


@pytest.mark.parametrize("language", ["en", "nl", "fr"])
def test_files_are_in_the_language_of_the_visit_and_say_so_in_their_name(small: Town, language: str) -> None:
    offered = {one.path: one for one in small.side.side.downloads}
    suffix = "" if language == "en" else f"-{language}"
    for form in ("html", "csv", "json"):
        made = [offered[f"popularity/report.{form}"].make(visit({}, language=language)) for _ in (1, 2)]
        assert made[0].filename == f"report-2026-W43-2026-W46{suffix}.{form}"
        assert made[0].cleared.payload == made[1].cleared.payload
    html = offered["popularity/report.html"].make(visit({}, language=language)).cleared.payload.decode()
    assert f'<html lang="{language}">' in html
    assert words_of(language).values["film-drama"] in html
    table = offered["popularity/estimates.csv"].make(visit({"table": "genre"}, language=language))
    assert table.filename == f"estimates-genre-2026-W43-2026-W46{suffix}.csv"
    assert ",film-drama,panel,share," in table.cleared.payload.decode()
    manifest = offered["popularity/manifest.json"].make(visit({}, language=language))
    assert manifest.filename == "manifest-2026-W46.json"


def test_tiles_are_in_the_language_of_the_visit(small: Town) -> None:
    tiles = small.side.side.tiles(visit(role="analyst", language="fr"))
    assert words_of("fr").values["film-drama"] in [tile.value for tile in tiles]
    assert all(tile.href.startswith("/console/") for tile in tiles)
