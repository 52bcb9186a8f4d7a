import base64
from zoneinfo import ZoneInfo

import msgspec
import pytest

from shared.clock import to_ms
from shared.directory import (
    NO_REGION,
    BadDirectoryError,
    Directory,
    TokenKey,
    challenge,
    describe,
    read_directory,
)
from shared.notice_version import notice_version
from shared.register import Profile, in_force, profile, register_hash
from shared.tokens import TOKEN_TYPE
from shared.weeks import Week

WEEK = Week(2026, 43)
ZONE = ZoneInfo("Europe/Amsterdam")


def directory(taken: Profile, **changes) -> Directory:
    said = {
        "week": str(WEEK),
        "zone": ZONE.key,
        "issuer": "issuer.example",
        "profile": taken.name,
        "register": register_hash(),
        "notice": notice_version(),
        "starts_ms": to_ms(WEEK.start(ZONE)),
        "ends_ms": to_ms(WEEK.end(ZONE)),
        "closes_ms": to_ms(WEEK.closes(ZONE)),
        "measures": describe(taken),
        "token_keys": [
            TokenKey(one.name, TOKEN_TYPE, base64.b64encode(b"k").decode()) for one in taken.measures
        ],
        "ohttp_keys": base64.b64encode(b"config").decode(),
        "region_map": 1,
        "regions": ["north", "north-town", NO_REGION],
        "areas": {"10": "north", "1011": "north-town"},
    }
    return Directory(**{**said, **changes})


def payload(taken: str = "regional", **changes) -> bytes:
    return msgspec.json.encode(directory(profile(taken), **changes))


def test_a_directory_survives_its_bytes_and_gives_the_profile_back():
    found = read_directory(payload(), WEEK)
    assert found == directory(profile("regional"))
    assert found.taken() == profile("regional")
    assert found.key_config() == b"config"
    assert found.token_key("genre") == b"k"


def test_another_weeks_directory_is_refused():
    with pytest.raises(BadDirectoryError, match="2026-W43"):
        read_directory(payload(), WEEK.plus(1))


def test_another_version_is_refused():
    with pytest.raises(BadDirectoryError, match="version 2"):
        read_directory(payload(v=2), WEEK)


@pytest.mark.parametrize("name", ["starts_ms", "ends_ms", "closes_ms"])
def test_times_that_are_not_the_weeks_are_refused(name):
    off = getattr(directory(profile("regional")), name) + 1
    with pytest.raises(BadDirectoryError, match="times"):
        read_directory(payload(**{name: off}), WEEK)


@pytest.mark.parametrize(
    "alter", [lambda keys: keys[1:], lambda keys: [*keys, keys[0]]], ids=["missing", "twice"]
)
def test_each_measure_has_exactly_one_key(alter):
    keys = alter(directory(profile("regional")).token_keys)
    with pytest.raises(BadDirectoryError, match="exactly one token key"):
        read_directory(payload(token_keys=keys), WEEK)


def test_a_key_for_a_measure_that_is_not_taken_is_refused():
    keys = [msgspec.structs.replace(key) for key in directory(profile("small")).token_keys]
    keys[0] = TokenKey("titles", TOKEN_TYPE, "aw==")
    with pytest.raises(BadDirectoryError, match="exactly one token key"):
        read_directory(payload("small", token_keys=keys), WEEK)


def test_a_measure_by_region_needs_regions():
    with pytest.raises(BadDirectoryError, match="no regions"):
        read_directory(payload(regions=[]), WEEK)
    assert read_directory(payload("small", regions=[]), WEEK).regions == []


def test_an_unknown_field_is_refused():
    raw = payload().replace(b'{"v":1', b'{"v":1,"box":"bx01"', 1)
    with pytest.raises(BadDirectoryError):
        read_directory(raw, WEEK)


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"null", b"[" * 100_000], ids=["empty", "no-text", "null", "deep"]
)
def test_what_is_no_directory_is_refused(raw):
    with pytest.raises(BadDirectoryError):
        read_directory(raw, WEEK)


def test_another_register_than_the_one_packaged_here_is_refused():
    with pytest.raises(BadDirectoryError, match="not the one packaged"):
        directory(profile("small"), register="0" * 64).taken()


@pytest.mark.parametrize(
    "change",
    [{"quota": 2}, {"rho_micro": 1}, {"kind": "timed"}, {"grid": ["genre", "region"]}, {"number": 9}],
    ids=str,
)
def test_a_measure_that_differs_from_the_register_is_refused(change):
    measures = describe(profile("small"))
    measures[0] = msgspec.structs.replace(measures[0], **change)
    with pytest.raises(BadDirectoryError, match="not those of the register"):
        directory(profile("small"), measures=measures).taken()


# The first week that begins after the review date of the ordered genre, and of that measure only.
REVIEW = profile("small").measure("ordered-genre").review
LATER = Week(*REVIEW.isocalendar()[:2]).plus(1)


def later(taken: Profile) -> Directory:
    return directory(
        taken,
        week=str(LATER),
        starts_ms=to_ms(LATER.start(ZONE)),
        ends_ms=to_ms(LATER.end(ZONE)),
        closes_ms=to_ms(LATER.closes(ZONE)),
    )


def test_a_week_is_taken_without_the_measures_that_are_past_their_review():
    rest = in_force(profile("small"), LATER.monday())
    assert len(rest.measures) == 2
    assert later(rest).taken() == rest


def test_a_directory_that_takes_a_measure_past_its_review_is_refused():
    with pytest.raises(BadDirectoryError, match="not those of the register"):
        later(profile("small")).taken()


def test_a_directory_that_leaves_out_a_measure_in_force_is_refused():
    rest = in_force(profile("small"), LATER.monday())
    with pytest.raises(BadDirectoryError, match="not those of the register"):
        directory(rest).taken()


def test_a_measure_more_or_less_than_the_profiles_is_refused():
    measures = describe(profile("small"))
    for other in (measures[:-1], measures[::-1], [*measures, measures[0]]):
        with pytest.raises(BadDirectoryError):
            directory(profile("small"), measures=other).taken()


def test_a_measure_without_key_has_none():
    with pytest.raises(BadDirectoryError, match="no token key"):
        directory(profile("small")).token_key("genre-region")


@pytest.mark.parametrize(
    ("area", "region"), [("1011 AB", "north-town"), ("1012", "north"), ("2000", NO_REGION), ("", NO_REGION)]
)
def test_the_longest_listed_prefix_decides_the_region(area, region):
    assert directory(profile("regional")).region_of(area) == region


def test_the_challenge_is_bound_to_issuer_measure_and_week_and_to_nobody():
    asked = challenge("issuer.example", "genre", WEEK)
    assert asked.origin_info == "genre.2026-w43.invalid"
    assert asked.redemption_context == b""
    others = [
        ("other", "genre", WEEK),
        ("issuer.example", "viewing", WEEK),
        ("issuer.example", "genre", WEEK.plus(1)),
    ]
    assert asked.digest() not in {challenge(*other).digest() for other in others}
    assert asked.digest() == challenge("issuer.example", "genre", WEEK).digest()
