import xml.etree.ElementTree as ET

import pytest

from headend.kit.charts import Bar, Caption, bar_chart
from headend.kit.lines import Limit, Point, column_chart, exact, line_chart
from headend.kit.squares import Legend, Square, tile_map

SPACE = "{http://www.w3.org/2000/svg}"
CAPTION = Caption("c", "What it is", "first 1; second 2")
LEGEND = Legend(["to 1", "to 2", "to 3", "to 4", "to 5"], "held back", "Elsewhere")


def tell(value: float) -> str:
    return f"{value:g}"


def read(chart: str) -> ET.Element:
    return ET.fromstring(chart)  # noqa: S314 (our own chart)


def having(tree: ET.Element, name: str) -> list[ET.Element]:
    return [one for one in tree.iter() if name in one.get("class", "").split()]


def test_what_is_withheld_is_said_in_the_words_that_are_given() -> None:
    chart = bar_chart("c", "t", "d", [Bar("a", withheld="small")], tell, "achtergehouden")
    assert having(read(chart), "withheld")[0].text == "achtergehouden"


def test_a_long_label_gets_the_room_that_it_needs() -> None:
    def left(label: str) -> float:
        return float(
            having(read(bar_chart("c", "t", "d", [Bar(label, 1, 1, 1)], tell)), "label")[0].get("x", "")
        )

    assert left("news") < left("programme for children before school") <= 300


@pytest.mark.parametrize("make", [line_chart, column_chart])
def test_a_chart_over_time_is_read_aloud_by_title_and_text(make) -> None:
    tree = read(make(CAPTION, [exact("w1", 1), exact("w2", 2)], tell))
    assert tree.get("role") == "img"
    assert tree.get("aria-labelledby") == "c-title c-desc"
    assert [tree.findtext(f"{SPACE}{name}") for name in ("title", "desc")] == [
        "What it is",
        "first 1; second 2",
    ]


def test_a_week_that_is_withheld_is_hatched_says_why_and_parts_the_line() -> None:
    points = [
        Point("w1", 2, 1, 3),
        Point("w2", 2, 1, 3),
        Point("w3", withheld="too small"),
        Point("w4", 2, 1, 3),
    ]
    tree = read(line_chart(CAPTION, points, tell))
    (gap,) = having(tree, "gap")
    assert gap.get("fill") == "url(#c-hatch)"
    assert gap.findtext(f"{SPACE}title") == "w3: too small"
    assert len(having(tree, "line")) == len(having(tree, "band")) == 2
    assert len(having(tree, "dot")) == 3


def test_a_point_between_gaps_keeps_its_interval_as_a_whisker() -> None:
    points = [Point("w1", withheld="x"), Point("w2", 2, 1, 3), Point("w3", withheld="x")]
    assert len(having(read(line_chart(CAPTION, points, tell)), "whisker")) == 1


def test_a_break_is_marked_and_the_line_does_not_go_over_it() -> None:
    points = [exact("w1", 1), Point("w2", 1, 1, 1, broken="taken otherwise"), exact("w3", 1)]
    tree = read(line_chart(CAPTION, points, tell))
    assert having(tree, "break")[0].findtext(f"{SPACE}title") == "taken otherwise"
    assert len(having(tree, "line")) == 2


def test_a_limit_stands_in_the_chart_even_if_nothing_comes_near_it() -> None:
    tree = read(line_chart(CAPTION, [exact("w1", 1)], tell, Limit(7, "the most: 7")))
    (line,) = having(tree, "limit")
    assert 14 <= float(line.get("y1", "")) < 280
    assert "the most: 7" in "".join(tree.itertext())
    assert "8" in [one.text for one in having(tree, "tick")]


def test_columns_are_as_high_as_their_values() -> None:
    tree = read(column_chart(CAPTION, [exact("w1", 1), exact("w2", 2), Point("w3", withheld="x")], tell))
    first, second = (float(one.get("height", "")) for one in having(tree, "bar"))
    assert second == pytest.approx(2 * first)


def test_of_many_weeks_some_are_labelled_and_always_the_newest() -> None:
    tree = read(line_chart(CAPTION, [exact(f"w{at}", 1) for at in range(104)], tell))
    labels = [one.text for one in having(tree, "tick") if (one.text or "").startswith("w")]
    assert labels[-1] == "w103"
    assert len(labels) <= 8


@pytest.mark.parametrize("make", [line_chart, column_chart])
def test_a_chart_of_no_weeks_is_still_a_chart(make) -> None:
    assert read(make(CAPTION, [], tell)).tag.endswith("svg")


def test_texts_are_text_and_no_markup() -> None:
    points = [Point("<b>", withheld="<i>"), Point("w", 1, 1, 1, broken="<u>")]
    square = Square(0, 0, "<b>", "<i>", "<u>", shade=1)
    for chart in (line_chart(CAPTION, points, tell), tile_map(CAPTION, [square], [], LEGEND)):
        assert not {"<b>", "<i>", "<u>"} & {chart[at : at + 3] for at in range(len(chart))}
        read(chart)


# --- squares


def test_a_square_has_its_figure_in_words_and_in_a_shade() -> None:
    light, dark = Square(0, 0, "A", "Aa", "10", "8 to 12", 1), Square(1, 0, "B", "Bb", "20", "18 to 22", 5)
    tree = read(tile_map(CAPTION, [light, dark], [], LEGEND))
    first, second = having(tree, "square")
    assert [one.text for one in first.iter(f"{SPACE}text")] == ["A", "10", "8 to 12"]
    assert first.findtext(f"{SPACE}title") == "Aa: 10: 8 to 12"
    shades = [float(having(one, "shade")[0].get("fill-opacity", "")) for one in (first, second)]
    assert 0 < shades[0] < shades[1] < 0.5


def test_a_withheld_square_is_hatched_and_says_why() -> None:
    held = Square(0, 0, "A", "Aa", "held back", withheld="held back: too small")
    (square,) = having(read(tile_map(CAPTION, [held], [], LEGEND)), "square")
    assert having(square, "gap")[0].get("fill") == "url(#c-hatch)"
    assert square.findtext(f"{SPACE}title") == "Aa: held back: too small"


def test_regions_that_are_on_no_map_stand_below_it_under_a_heading() -> None:
    squares, aside = [Square(0, 1, "A", "Aa", "1", shade=1)], [Square(0, 0, "north", "north", "2", shade=2)]
    tree = read(tile_map(CAPTION, squares, aside, LEGEND))
    boxes = [having(one, "shade")[0] for one in having(tree, "square")]
    assert float(boxes[0].get("y", "")) + 92 < float(boxes[1].get("y", ""))
    assert "Elsewhere" in tree.itertext()
    assert "Elsewhere" not in read(tile_map(CAPTION, [], aside, LEGEND)).itertext()
