"""The container's file, as far as it can be looked at without an engine."""

import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest

from headend.__main__ import main
from tests.deploy.nginx import DEPLOY

HOUSE = DEPLOY.parent
FOLDER = DEPLOY / "container"
TEXT = (FOLDER / "Containerfile").read_text()
LINES = [
    line.strip()
    for line in re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", TEXT)).splitlines()
    if line.strip()
]
README = (FOLDER / "README.md").read_text()


def told(word):
    return [line.split(None, 1)[1] for line in LINES if line.startswith(f"{word} ")]


def commands(text):
    """Each `headend …` that is given with words, as lists of them."""
    return [
        match.split()
        for match in re.findall(r"\bheadend ((?:init|serve|doctor|backup|apart|exchange)\b[^\n`|]*)", text)
    ]


def test_everything_that_is_copied_is_there():
    for line in told("COPY"):
        if line.startswith("--from="):
            continue
        *sources, _target = line.split()
        assert [one for one in sources if not (HOUSE / one).exists()] == []
    copied = " ".join(told("COPY"))
    assert all(package in copied for package in ("box_agent", "headend", "shared", "simulator"))


def test_what_is_imported_comes_by_its_hash_and_the_code_from_nowhere():
    installs = [part for line in told("RUN") for part in line.split("&&") if "pip install" in part]
    assert len(installs) == 2
    assert "--require-hashes -r locks/headend.txt" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1]
    assert "--hash=sha256:" in (HOUSE / "locks" / "headend.txt").read_text()


def test_the_base_is_one_tag_of_one_python_in_both_stages():
    bases = {line.split(" AS ")[0] for line in told("FROM")}
    assert bases == {"docker.io/library/python:3.11-slim-bookworm"}


def test_it_does_not_run_as_root_and_writes_to_one_folder():
    (user,) = told("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert LINES.index(f"USER {user}") > max(
        place for place, line in enumerate(LINES) if line.startswith(("RUN", "COPY"))
    )
    (volume,) = told("VOLUME")
    owner, group = user.split(":")
    assert f"install -d -o {owner} -g {group} -m 0700 {volume}" in TEXT
    for line in README.splitlines():
        if "podman run" in line:
            assert "--read-only" in line


def test_what_it_starts_is_a_command_that_there_is():
    (entry,), (given,) = told("ENTRYPOINT"), told("CMD")
    assert msgspec.json.decode(entry) == ["headend"]
    words = msgspec.json.decode(given)
    known = {opt for parameter in main.commands[words[0]].params for opt in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    assert words[words.index("--port") + 1] == told("EXPOSE")[0]


@pytest.mark.parametrize("words", commands(README), ids=" ".join)
def test_every_command_of_the_page_is_one_that_there_is(words):
    assert words[0] in main.commands
    known = {opt for parameter in main.commands[words[0]].params for opt in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_page_says_that_it_was_not_built():
    assert "It has not been built" in README


@pytest.mark.parametrize(("answer", "status"), [(b"ok\n", 0), (b"no\n", 1)])
def test_the_health_check_tells_a_headend_that_answers_from_one_that_does_not(answer, status):
    class Health(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    (line,) = told("HEALTHCHECK")
    command = msgspec.json.decode(line.split("CMD ", 1)[1])
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        code = command[2].replace("8080", str(server.server_address[1]))
        done = subprocess.run([sys.executable, *command[1:2], code], check=False, capture_output=True)
        server.shutdown()
    assert done.returncode == status, done.stderr
