"""What the fuzzer found once, each as the smallest input that showed it."""

import pytest

from tests.fuzz.targets.kodi_stream import KodiStream
from tests.fuzz.targets.socket_lines import SocketLines
from tests.fuzz.targets.socket_stream import SocketStream
from tests.fuzz.targets.xmltv_guide import XmltvGuide


@pytest.mark.parametrize("number", [b"9223372036854775808", b"18446744073709551616"])
def test_an_order_s_number_that_the_store_cannot_hold_is_refused(number: bytes) -> None:
    SocketLines().run([b'{"op":"delivery","order":%s,"outcome":"confirmed"}' % number])


def test_sixty_who_come_at_once_are_served_or_told_that_it_is_full() -> None:
    SocketStream().run([b"@over 60", b'a{"op":"consent"}\n'])


def test_after_they_have_gone_there_is_a_place_again() -> None:
    SocketStream().run([b"@over 100"])
    SocketStream().run([b'a{"op":"consent"}\n'])


def test_a_programme_of_the_last_hour_of_the_last_year_does_not_end_the_watching() -> None:
    KodiStream().run([b'@on {"starttime":"9999-12-31 23:59:59","mediapath":"pvr://guide/"}'])


@pytest.mark.parametrize("kind", [b"channel", b"movie"])
@pytest.mark.parametrize(
    "number", [b'"%s"' % (b"x" * 200), b"9" * 200, b"9" * 4299, b"[[1]]", b"true", b"-1"]
)
def test_whatever_a_player_calls_an_item_its_event_can_be_read_again(kind: bytes, number: bytes) -> None:
    KodiStream().run([b'@on {"type":"%s","id":%s,"label":"x"}' % (kind, number), b"@wait 20000"])


def test_an_item_s_kind_that_is_no_text_does_not_end_the_watching() -> None:
    KodiStream().run([b'{"method":"Player.OnAVStart","params":{"data":{"item":{"type":{}}}}}'])


def test_a_player_that_wakes_by_itself_is_a_sign_of_the_player_and_not_of_the_agent() -> None:
    SocketLines().run(
        [
            b'{"op":"event","event":{"event":"play","item":{"kind":"vod"}}}',
            b'{"op":"event","event":{"event":"progress"}}',
            b"@wait 61227",
            b'{"op":"event","event":{"event":"wake","by":"box"}}',
            b"@wait 1200422",
        ]
    )


def test_a_name_that_begins_with_a_colon_is_none_of_the_guide_s() -> None:
    XmltvGuide().run([b"<tv>", b'<programme :=""><category></category></programme>', b"</tv>"])


def test_a_clock_that_falls_behind_the_consent_and_jumps_ahead_makes_no_viewing() -> None:
    SocketLines().run(
        [
            b'{"op":"event","event":{"event":"play","item":{"kind":"recording","genre":7}}}',
            b"@jump -640000",
            b'{"op":"event","event":{"event":"stop","by":"box"}}',
            b"@jump 6000000",
        ]
    )
