import base64

import msgspec
import pytest
from flask import Flask

from headend.billing.issuer_directory import CONTENT_TYPE, PATH, REQUEST_URI, make_issuer_directory
from headend.billing.issuing import TokenKeys
from headend.kit.shelf import FolderShelf
from shared.register import profile
from shared.tokens import TOKEN_TYPE, read_token_key
from shared.weeks import Week
from tests.headend.billing.test_issuing import ZONE

WEEK = Week(2026, 41)
MEASURES = [measure.name for measure in profile("small").measures]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    found = TokenKeys(FolderShelf(tmp_path_factory.mktemp("keys")))
    for week in (WEEK.plus(-1), WEEK, WEEK.plus(1)):
        found.make(MEASURES, week)
    return found


def answer(keys, week=WEEK):
    app = Flask("issuer")
    app.register_blueprint(make_issuer_directory(keys, profile("small"), lambda: week.start(ZONE), ZONE))
    return app.test_client().get(PATH)


def test_it_lists_the_keys_of_the_running_week_and_the_next_as_the_standard_says(keys):
    said = answer(keys)
    found = msgspec.json.decode(said.data)
    assert said.content_type == CONTENT_TYPE
    assert found["issuer-request-uri"] == REQUEST_URI
    assert [key["token-type"] for key in found["token-keys"]] == [TOKEN_TYPE] * 6
    listed = [base64.urlsafe_b64decode(key["token-key"]) for key in found["token-keys"]]
    assert listed == [*keys.public(MEASURES, WEEK), *keys.public(MEASURES, WEEK.plus(1))]
    for spki in listed:
        read_token_key(spki)
    starts = [int(week.start(ZONE).timestamp()) for week in (WEEK, WEEK.plus(1))]
    assert [key["not-before"] for key in found["token-keys"]] == [starts[0]] * 3 + [starts[1]] * 3


def test_it_lists_no_key_of_a_week_that_is_over_and_none_that_is_not_made(keys):
    assert len(msgspec.json.decode(answer(keys, WEEK.plus(1)).data)["token-keys"]) == 3
    assert msgspec.json.decode(answer(keys, WEEK.plus(2)).data)["token-keys"] == []


def test_it_says_the_same_to_everybody(keys):
    first, second = answer(keys), answer(keys)
    assert (first.data, first.headers["Cache-Control"]) == (second.data, "public, max-age=3600")
    assert "Set-Cookie" not in first.headers
