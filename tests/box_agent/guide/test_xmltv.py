import gzip
import io
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from box_agent.guide import unpacked as packing
from box_agent.guide.unpacked import BadGuideError, unpacked
from box_agent.guide.xmltv import MAX_DEPTH, MAX_TOKEN, Listed, Named, read_xmltv
from box_agent.guide.xmltv_time import xmltv_ms
from shared.clock import to_ms

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE tv SYSTEM "xmltv.dtd">\n'
NINE = to_ms(datetime(2026, 11, 22, 9, tzinfo=UTC))
HOUR = 3_600_000


def read(text, skipped=None, size=64):
    raw = text if isinstance(text, bytes) else text.encode()
    chunks = [raw[at : at + size] for at in range(0, len(raw), size)]
    return list(read_xmltv(chunks, Counter() if skipped is None else skipped))


def programme(attributes, inner=""):
    return f"<programme {attributes}><title>A title</title>{inner}</programme>"


def tv(*parts, head=HEAD):
    return f"{head}<tv>{''.join(parts)}</tv>"


def test_programmes_and_names_come_in_the_files_order():
    found = read(
        tv(
            '<channel id="een.be"><display-name>Eén</display-name><icon src="x"/></channel>',
            programme(
                'start="20261122100000 +0100" stop="20261122110000 +0100" channel="een.be"',
                '<category lang="nl">Sport</category><category>Voetbal</category><desc>long</desc>',
            ),
        )
    )
    assert found == [Named("een.be", "Eén"), Listed("een.be", NINE, NINE + HOUR, ("Sport", "Voetbal"))]


@given(st.integers(1, 200))
def test_however_the_bytes_are_cut_the_programmes_are_the_same(size):
    text = tv(
        '<channel id="a"><display-name>Zuid &amp; West é</display-name></channel>',
        programme('start="20261122100000" channel="a"', "<category>Film &amp; drama</category>"),
        programme('start="20261122110000" channel="a"', "<category><![CDATA[Actua]]></category>"),
    )
    assert read(text, size=size) == read(text, size=10_000)
    assert read(text)[1].categories == ("Film & drama",)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_a_time_with_an_offset_is_the_instant_it_says(at, minutes):
    zone = timezone(timedelta(minutes=minutes))
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    text = f"{at:%Y%m%d%H%M%S} {sign}{hours:02}{rest:02}"
    assert xmltv_ms(text) == to_ms(at.replace(tzinfo=zone))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("20261122090000", NINE),
        ("20261122090000 UTC", NINE),
        ("202611220900", NINE),
        ("2026112209", NINE),
        ("20261122090000+0000", NINE),
        ("20261122100000 +01:00", NINE),
        ("20261122", NINE - 9 * HOUR),
        ("20261122085960", NINE),
    ],
)
def test_a_time_may_be_short_and_without_offset_it_is_utc(text, at):
    assert xmltv_ms(text) == at


@given(st.text(max_size=40))
def test_no_text_makes_the_reading_of_a_time_fail(text):
    assert xmltv_ms(text) is None or isinstance(xmltv_ms(text), int)


@pytest.mark.parametrize(
    "text", ["", "2026", "202613", "20261122 tomorrow", "20261322090000", "20261122090000 +2500", "٢٠٢٦١١٢٢"]
)
def test_what_is_no_time_is_none(text):
    assert xmltv_ms(text) is None


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ('start="20261122100000" stop="20261122090000" channel="a"', "stop-before-start"),
        ('start="20261122100000" stop="20261122100000" channel="a"', "stop-before-start"),
        ('start="soon" channel="a"', "bad-time"),
        ('start="20261122100000" stop="later" channel="a"', "bad-time"),
        ('channel="a"', "bad-time"),
        ('start="20261122100000"', "bad-channel"),
        (f'start="20261122100000" channel="{"a" * 200}"', "bad-channel"),
        ('start="20261122100000" stop="20271122100000" channel="a"', "too-long"),
    ],
)
def test_what_is_skipped_is_counted_by_reason(attributes, reason):
    skipped = Counter()
    good = programme('start="20261122100000" channel="a"')
    assert len(read(tv(programme(attributes), good), skipped)) == 1
    assert skipped == {reason: 1}


def test_a_text_that_is_too_long_is_skipped_not_kept():
    skipped = Counter()
    inner = f"<category>{'x' * 5000}</category><category>Sport</category>"
    (found,) = read(tv(programme('start="20261122100000" channel="a"', inner)), skipped)
    assert found.categories == ("Sport",)
    assert skipped == {"long-text": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('<!DOCTYPE tv [<!ENTITY a "aaaa">]><tv/>', "entities"),
        ('<!DOCTYPE tv [<!ENTITY a SYSTEM "file:///etc/passwd">]><tv>&a;</tv>', "entities"),
        ('<!DOCTYPE tv [<!ENTITY % a SYSTEM "http://example.com/x.dtd"> %a;]><tv/>', "entities"),
        ('<!DOCTYPE tv [<!NOTATION n SYSTEM "n"><!ENTITY a SYSTEM "x" NDATA n>]><tv/>', "entities"),
        ("<rss/>", "root"),
        ("<tv>", "well-formed"),
        ("", "well-formed"),
        ("<tv></tv><tv></tv>", "well-formed"),
        ("<tv>\x00</tv>", "well-formed"),
        ('<?xml version="1.0" encoding="no-such"?><tv/>', "(encoding|well-formed)"),
        ("<tv>" + "<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH + "</tv>", "nested"),
        (b"<tv>\xff\xfe</tv>", "well-formed"),
    ],
)
def test_a_hostile_or_broken_file_is_refused(text, why):
    with pytest.raises(BadGuideError, match=why):
        read(text)


def test_a_thousand_laughs_are_refused_before_they_are_laughed():
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    text = f'<!DOCTYPE tv [<!ENTITY l0 "ha">{levels}]><tv><programme><title>&l9;</title></programme></tv>'
    with pytest.raises(BadGuideError, match="entities"):
        read(text)


@pytest.mark.parametrize("start", [b'<tv><programme start="', b"<tv><", b"<tv><!--", b"<tv><a b='"])
def test_a_tag_without_end_is_refused_while_it_is_still_small(start):
    endless = (b"x" * 65_536 for _ in range(10_000))
    tracemalloc.start()
    with pytest.raises(BadGuideError, match="more than"):
        list(read_xmltv([start, *[next(endless) for _ in range(40)]], Counter()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MAX_TOKEN


def test_a_long_file_is_read_in_small_memory():
    one = programme(
        'start="20261122100000 +0100" stop="20261122110000 +0100" channel="een.be"',
        f"<desc>{'words ' * 100}</desc><category>Sport</category>",
    ).encode()

    def chunks():
        yield b"<tv>"
        for _ in range(20_000):
            yield one
        yield b"</tv>"

    tracemalloc.start()
    assert sum(1 for _ in read_xmltv(chunks(), Counter())) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


# --- gzip


def test_gzip_is_told_by_its_first_bytes_and_may_have_several_members():
    text = tv(programme('start="20261122100000" channel="a"')).encode() * 1
    half = len(text) // 2
    packed = gzip.compress(text[:half]) + gzip.compress(text[half:])
    assert b"".join(unpacked(io.BytesIO(packed))) == text
    assert b"".join(unpacked(io.BytesIO(text))) == text
    assert list(unpacked(io.BytesIO(b""))) == []


@pytest.mark.parametrize("cut", [3, 15, 40])
def test_gzip_that_is_cut_off_is_refused(cut):
    packed = gzip.compress(tv(programme('start="20261122100000" channel="a"')).encode())
    with pytest.raises(BadGuideError, match="cut off"):
        list(unpacked(io.BytesIO(packed[: len(packed) - cut])))


def test_damaged_gzip_is_refused():
    packed = bytearray(gzip.compress(b"<tv/>" * 1000))
    packed[12] ^= 0xFF
    with pytest.raises(BadGuideError):
        list(unpacked(io.BytesIO(bytes(packed))))


def test_a_gzip_bomb_is_refused_before_it_has_unpacked(monkeypatch):
    monkeypatch.setattr(packing, "_RATIO_FROM", 1_000_000)
    bomb = gzip.compress(b" " * 50_000_000)
    seen = []
    with pytest.raises(BadGuideError, match="times"):
        seen.extend(len(chunk) for chunk in unpacked(io.BytesIO(bomb)))
    assert sum(seen) < 20_000_000


def test_more_bytes_than_any_guide_has_are_refused(monkeypatch):
    monkeypatch.setattr(packing, "MAX_BYTES", 100_000)
    with pytest.raises(BadGuideError, match="more than"):
        list(unpacked(io.BytesIO(b" " * 200_000)))
