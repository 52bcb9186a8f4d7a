"""Walk the console as an operator would who follows every link."""

import re
from collections import Counter, deque
from html import unescape

from flask import Flask
from flask.testing import FlaskClient

from tests.filled import PASSWORD

LINK = re.compile(r'href="(/console/[^"#]*|\?[^"#]*)')
TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
LEFT_ALONE = ("/console/static/", "/console/sign-out")


def sign_in(app: Flask, name: str) -> FlaskClient:
    """A client that is signed in."""
    client = app.test_client()
    token = TOKEN.search(client.get("/console/sign-in").text)
    answer = client.post("/console/sign-in", data={"csrf": token[1], "name": name, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return client


def links(address: str, page: str) -> list[str]:
    """The console's addresses that a page points to."""
    here = address.split("?", maxsplit=1)[0]
    found = (unescape(link) for link in LINK.findall(page))
    return [here + link if link.startswith("?") else link for link in found]


def walk(client: FlaskClient, alike: int = 4) -> dict[str, bytes]:
    """What can be reached from the overview by links, files too; of one path at most `alike` addresses."""
    seen: dict[str, bytes] = {}
    of_path: Counter[str] = Counter()
    waiting = deque(["/console/"])
    while waiting:
        address = waiting.popleft()
        path = address.split("?")[0]
        if address in seen or address.startswith(LEFT_ALONE) or of_path[path] == alike:
            continue
        of_path[path] += 1
        answer = client.get(address)
        assert answer.status_code in {200, 303}, f"{address}: {answer.status_code} {answer.text[:300]}"
        seen[address] = answer.data
        if answer.content_type.startswith("text/html"):
            waiting.extend(links(address, answer.text))
    return seen
