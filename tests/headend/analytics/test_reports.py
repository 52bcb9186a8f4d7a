import csv
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from headend.__main__ import main
from headend.analytics.reports import ReportFile
from headend.analytics.store import Disclosure, StoredRelease, WeekState
from headend.app import open_headend
from headend.installation import Installation
from shared.register import profile
from shared.weeks import Week
from shared.words import words_of
from tests import engines
from tests.builders import SETTINGS, visit
from tests.headend.analytics.builders import WEEK, Town
from tests.headend.analytics.releases import genre, noisy, table

COUNTS = [200, 160, 150, 60, 40, 20, 10, 5, 3, -8, 0]
VOID = {"meta", "br"}


def releases(number: int) -> list[StoredRelease]:
    small = profile("small")
    found = []
    for at in range(number):
        week = WEEK.plus(at)
        counts = [120, 160, 150, 140, *COUNTS[4:]] if at >= 4 else COUNTS
        measures = [
            genre(counts),
            noisy(small.measure("viewing"), [2773], [7467]),
            noisy(small.measure("ordered-genre"), [60, *[2] * 17]),
        ]
        content = msgspec.json.encode(table(measures, 640, week=week))
        found.append(StoredRelease(week, b'{"manifest of":"%s"}' % str(week).encode(), content))
    return found


def enter(side, stored: list[StoredRelease]) -> None:
    def work(desk) -> None:
        for release in stored:
            desk.enter_release(release)
            desk.finish(release.week, WeekState.RELEASED, 0)

    side.store.at_release_desk(work)


def report(town: Town, form: str, window: str = "four") -> str:
    return town.side.download("report", form, {"window": window}).payload.decode()


@pytest.fixture
def full(town: Town) -> Town:
    enter(town.side, releases(8))
    return town


class Page(HTMLParser):
    """The tags of a page with their attributes; whether every one was closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_report_is_one_page_that_loads_and_runs_nothing(full: Town) -> None:
    text = report(full, "html")
    page = Page(text)
    assert page.open == []
    tags = {tag for tag, _ in page.seen}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "a"}
    names = {name for _, attributes in page.seen for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in {"src", "href", "style"}}
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "size: A4" in style
    ids = [attributes["id"] for _, attributes in page.seen if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_table_of_the_report_has_its_caption_and_every_chart_its_words(full: Town) -> None:
    page = Page(report(full, "html"))
    count = [tag for tag, _ in page.seen].count
    assert count("table") == count("caption") > 4
    assert count("svg") == count("desc") >= 1
    assert ("html", {"lang": "en"}) in page.seen


def test_the_report_says_what_a_reader_must_know(full: Town) -> None:
    text = report(full, "html")
    for sentence in (
        "Four weeks: from Monday 2 Nov 2026, 02:00, to Monday 30 Nov 2026, 02:00 (viewing days)",
        "Simulated: these figures are of an invented town.",
        "recognises one household",
        "does not contain the error of this assumption",
        "2,560 of 5,120 (50.0%)",
        "cannot be told apart",
        "withheld: too small",
        "Shares are withheld: the whole is too uncertain",
        "Compared with the window before: 2026-W41 to 2026-W44.",
        "up sports (genres); down film or drama (genres)",
        "own shares of viewing minutes",
    ):
        assert sentence in text, sentence


def test_the_report_lists_every_manifest_with_its_hash(full: Town) -> None:
    text = report(full, "html")
    for release in releases(8)[4:]:
        assert hashlib.sha256(release.manifest).hexdigest() in text
        assert hashlib.sha256(release.table).hexdigest() in text
    assert hashlib.sha256(releases(1)[0].manifest).hexdigest() not in text


def test_a_withheld_value_stands_nowhere_in_a_report(full: Town) -> None:
    html = report(full, "html")
    row = html[html.index('<th scope="row">other') :]
    assert "%" not in row[: row.index("</tr>")]
    found = msgspec.json.decode(report(full, "json"), type=ReportFile)
    for measure in found.estimates.measures:
        for cell in (cell for group in measure.groups for cell in group.cells):
            assert bool(cell.withheld) != bool(cell.panel)
    rows = list(csv.DictReader(io.StringIO(report(full, "csv"))))
    assert all(not row["value"] for row in rows if row["withheld"])
    changed = {row["cell"] for row in rows if row["record"] == "change" and row["measure"] == "genre"}
    assert "sports" in changed
    assert "other" not in changed


def test_the_json_holds_the_signed_manifests_as_they_are(full: Town) -> None:
    found = msgspec.json.decode(report(full, "json"), type=ReportFile)
    for proof, release in zip(found.manifests, releases(8)[4:], strict=True):
        assert proof.manifest.encode() == release.manifest
        assert proof.manifest_sha256 == hashlib.sha256(release.manifest).hexdigest()
        assert proof.week == str(release.week)
    assert found.trends[0].measures[0].name == "genre"
    assert found.guarantee
    assert "DSSE" in found.checking


def test_the_csv_is_one_table_in_which_every_row_says_what_it_is(full: Town) -> None:
    rows = list(csv.DictReader(io.StringIO(report(full, "csv"))))
    assert all(None not in row and None not in row.values() for row in rows)
    kinds = {row["record"] for row in rows}
    assert kinds == {"guarantee", "summary", "reading", "remark", "figure", "change", "manifest"}
    manifests = [row for row in rows if row["record"] == "manifest"]
    assert [row["first_week"] for row in manifests] == ["2026-W45", "2026-W46", "2026-W47", "2026-W48"]
    assert hashlib.sha256(releases(8)[4].manifest).hexdigest() in manifests[0]["text"]
    (sports,) = [
        row
        for row in rows
        if (row["record"], row["measure"], row["cell"], row["of"]) == ("change", "genre", "sports", "panel")
    ]
    assert sports["text"] == "up against 2026-W41 to 2026-W44"
    assert {row["of"] for row in rows if row["record"] == "figure"} == {"panel", "all boxes", ""}


def test_the_same_window_gives_the_same_bytes(full: Town) -> None:
    for form in ("html", "csv", "json"):
        assert report(full, form) == report(full, form)


@pytest.mark.parametrize("window", ["week", "four", "quarter"])
def test_every_window_has_its_report(full: Town, window: str) -> None:
    assert "<h1>What is viewed: 2026-W" in report(full, "html", window)
    assert msgspec.json.decode(report(full, "json", window), type=ReportFile).window == window


def test_what_a_release_says_is_text_in_the_report_and_no_markup(town: Town) -> None:
    measure = noisy(profile("regional").measure("genre-region"), [3000] * 22)
    cells = [[values[0], "<b>north" if values[1] == "north" else values[1]] for values in measure.cells]
    strange = msgspec.structs.replace(measure, cells=cells)
    stored = table([strange], 66_000, taken="regional", everyone=90_000)
    stored.boxes["<b>north"] = 45_000
    enter(town.side, [StoredRelease(WEEK, b"<script>", msgspec.json.encode(stored))])
    text = report(town, "html", "week")
    assert "&lt;b&gt;north" in text
    assert "<b>" not in text
    assert "<script" not in text


def test_tables_of_two_dimensions_are_crossed_and_say_whose_they_are(town: Town) -> None:
    taken = profile("regional")
    crossed = noisy(taken.measure("genre-shift"), [300, 50, 50, 50, 50, 2] * 11)
    stored = table([crossed], 5522, taken="regional", everyone=9000)
    enter(town.side, [StoredRelease(WEEK, b"{}", msgspec.json.encode(stored))])
    text = report(town, "html", "week")
    for whose in ("panel", "all boxes"):
        assert f"own shares of viewing minutes, {whose}, 2026-W41" in text
    assert '<th scope="col" class="number">within 7 days</th>' in text
    assert text.count('<span class="withheld" title="withheld">') == 2 * 11
    assert "Viewing that is not live, share: panel" in text
    assert "Viewing that is not live, by genre" in text


def test_ranks_stand_beside_the_figure_that_is_ranked(town: Town) -> None:
    measure = noisy(profile("national").measure("genre-minutes"), [90_000] * 11, [100_000] * 11)
    stored = table([measure], 20_000, taken="national", everyone=90_000)
    enter(town.side, [StoredRelease(WEEK, b"{}", msgspec.json.encode(stored))])
    tables = report(town, "html", "week").split("<table")
    ranked = {part[: part.index("</caption>")].split(": ")[-1] for part in tables[1:] if ">Rank<" in part}
    assert ranked == {f"{name}, 2026-W41" for name in ("share", "minutes", "average audience, in boxes")}


# --- the commands


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = Installation.create(tmp_path / "headend", SETTINGS)
    headend = open_headend(made, ["analytics"])
    assert headend.analytics is not None
    enter(headend.analytics, releases(8))
    headend.close()
    return made.folder


def run(*words: str):
    return CliRunner().invoke(main, words)


def noted(folder: Path) -> list[Disclosure]:
    headend = open_headend(Installation(folder), ["analytics"])
    assert headend.analytics is not None
    found = headend.analytics.store.disclosures()
    headend.close()
    return found


def test_the_command_writes_the_three_files_and_notes_each_with_its_hash(
    folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out" / "reports"
    done = run("report", str(folder), "--window", "four", "--until", "2026-W47", "--to", str(target))
    assert done.exit_code == 0, done.output
    names = [f"report-2026-W44-2026-W47.{form}" for form in ("html", "csv", "json")]
    assert done.output.split() == [str(target / name) for name in names]
    assert sorted(path.name for path in target.iterdir()) == sorted(names)
    for one, name in zip(noted(folder), names, strict=True):
        assert one.what == name
        assert one.sha256 == hashlib.sha256((target / name).read_bytes()).hexdigest()
        assert (one.kind, one.recipient, one.purpose) == (
            "estimates",
            "operator's audience research",
            "genre popularity",
        )
    listed = run("disclosures", str(folder)).output
    assert names[0] in listed
    assert "audience research" in listed
    assert '"what": "report-2026-W44-2026-W47.html"' in run("disclosures", str(folder), "--json").output


def test_what_cannot_be_written_has_been_noted_before(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    (target / "report-2026-W45-2026-W48.html").mkdir(parents=True)
    assert run("report", str(folder), "--to", str(target)).exit_code != 0
    assert [one.what for one in noted(folder)] == ["report-2026-W45-2026-W48.html"]


@pytest.mark.parametrize("words", [("--until", "2026-W50"), ("--until", "never")])
def test_a_report_of_a_week_without_release_is_refused_and_changes_nothing(
    folder: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = run("report", str(folder), "--to", str(tmp_path / "out"), *words)
    assert done.exit_code == 1
    assert "there is no release of that week" in done.output
    assert not (tmp_path / "out").exists()
    assert noted(folder) == []


def test_notes_of_what_was_handed_out_cannot_be_changed_or_taken_away(folder: Path, tmp_path: Path) -> None:
    run("report", str(folder), "--to", str(tmp_path / "out"))
    for statement in (
        "DELETE FROM disclosures",
        "UPDATE disclosures SET recipient = 'somebody else'",
        engines.OVERWRITE.format("disclosures"),
    ):
        with (
            engines.raw(Installation(folder).place("analytics")) as connection,
            pytest.raises(engines.REFUSED, match="append-only"),
        ):
            connection.execute(statement)


def test_popularity_on_the_terminal_tells_ties_changes_and_both_figures(folder: Path) -> None:
    done = run("popularity", str(folder))
    assert done.exit_code == 0, done.output
    assert "cannot be told apart" in done.output
    assert re.search(r"sports .*Share 21\.\d% \(.*Share up", done.output)
    assert "Compared with the window before: 2026-W41 to 2026-W44." in done.output
    found = msgspec.json.decode(run("popularity", str(folder), "--json").output)
    assert found["weeks"][0] == "2026-W45"
    assert str(Week.parse(found["weeks"][-1])) == "2026-W48"


def test_the_commands_write_and_print_in_the_language_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    done = run("report", str(folder), "--to", str(tmp_path / "out"), "--language", "nl")
    assert done.exit_code == 0, done.output
    names = [f"report-2026-W45-2026-W48-nl.{form}" for form in ("html", "csv", "json")]
    assert [one.what for one in noted(folder)] == names
    assert "film of drama" in (tmp_path / "out" / names[0]).read_text()
    assert msgspec.json.decode((tmp_path / "out" / names[2]).read_bytes(), type=ReportFile).language == "nl"
    printed = run("popularity", str(folder), "--language", "fr").output
    assert words_of("fr").values["film-drama"] in printed
    assert run("popularity", str(folder), "--language", "de").exit_code != 0


def test_keys_and_names_of_cells_are_the_same_in_all_languages(full: Town) -> None:
    english, dutch = (
        list(csv.DictReader(io.StringIO(in_language(full, language)))) for language in ("en", "nl")
    )
    keys = ("record", "measure", "cell", "of", "figure", "low", "value", "high")
    assert [[row[key] for key in keys] for row in english] == [[row[key] for key in keys] for row in dutch]


def in_language(town: Town, language: str) -> str:
    words = visit(language=language).language
    return town.side.download("report", "csv", {"window": "four"}, words).payload.decode()
