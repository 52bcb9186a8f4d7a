"""Titles and subscribers are seen by those who bill; popularity by those who study it; and looks are kept."""

import re

import pytest

from headend.app import create_app, open_headend
from headend.installation import Installation
from tests.crawl import sign_in, walk
from tests.filled import ACCOUNTS, TITLES, make

pytestmark = pytest.mark.promise

SUBSCRIBERS = [f"nl-{n:04}" for n in range(1, ACCOUNTS + 1)]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    headend = open_headend(Installation(make(tmp_path_factory.mktemp("sees"))))
    yield create_app(headend)
    headend.close()


def found(seen, words):
    return {(word, address) for address, page in seen.items() for word in words if word.encode() in page}


@pytest.mark.parametrize("name", ["bob", "charlie", "dana"])
def test_no_link_leads_anybody_but_billing_to_a_title(app, name):
    seen = walk(sign_in(app, name))
    assert len(seen) > 3
    assert found(seen, TITLES) == set()


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_no_link_leads_an_analyst_or_an_admin_to_a_subscriber_a_box_or_an_order(app, name):
    seen = walk(sign_in(app, name))
    assert found(seen, SUBSCRIBERS) == set()
    assert not [address for address, page in seen.items() if re.search(rb"\bbx[0-9a-f]{16}\b", page)]


def test_billing_sees_its_subscribers_and_nothing_that_was_watched(app):
    seen = walk(sign_in(app, "alice"))
    assert found(seen, SUBSCRIBERS)
    for words in ("popularity", "daypart", "reach"):
        assert not [address for address in seen if words in address]
