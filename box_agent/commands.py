"""Questions to the agent from the command line.

A question is put to the running agent; if none runs, the store is opened for it.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from box_agent.answers import Reader
from box_agent.archive import STDOUT, as_text, write_archive
from box_agent.checks.step import FAILED
from box_agent.client import AgentAwayError, AgentClient
from box_agent.front import Front, error_name
from box_agent.questions import Told, parser, request
from box_agent.running import build, clock_of, places_of, run
from box_agent.settings import BoxSettings, read_settings
from box_agent.starting import Lock, open_core, refuse
from shared.errors import StbError

DONE, REFUSED, UNUSABLE = 0, 1, 2
"""The exit statuses of a question."""


def ask(arguments: Sequence[str]) -> int:
    """Ask it; answers with the exit status: 0 done, 1 refused, 2 wrong usage or settings."""
    told = parser().parse_args(arguments)
    if told.command == "run":
        return run(told.config)
    try:
        if told.command == "replay":
            return _replay(told.file, told.zone, as_json=told.json)
        if told.command == "selftest":
            return _selftest(told)
        settings = read_settings(Path(told.config), os.environ)
    except StbError as error:
        return refuse(error)
    reader = Reader(getattr(told, "language", None) or settings.language, settings.timezone())
    try:
        return _question(settings, told, reader)
    except StbError as error:
        sys.stderr.write(reader.refused(error_name(error), str(error)) + "\n")
        return UNUSABLE


def _replay(path: Path, zone: str, *, as_json: bool) -> int:
    from box_agent.replaying import replayed

    found = replayed(path, zone)
    text = json.dumps(found) if as_json else Reader("en", ZoneInfo("UTC")).fields(found)
    sys.stdout.write(text + "\n")
    return DONE


def _selftest(told: Told) -> int:
    from box_agent.selftest import in_lines, selftest

    steps = selftest(Path(told.config), os.environ, on_a_bench=told.anonymous)
    ok = not any(step.verdict == FAILED for step in steps)
    if told.json:
        sys.stdout.write(json.dumps({"ok": ok, "steps": [asdict(step) for step in steps]}) + "\n")
    else:
        sys.stdout.write(in_lines(steps) + "\n")
    return DONE if ok else REFUSED


def _question(settings: BoxSettings, told: Told, reader: Reader) -> int:
    if told.command == "wipe" and not told.yes and not _confirmed(reader, everything=told.all):
        sys.stderr.write(reader.phrases.sentences["not_wiped"] + "\n")
        return REFUSED
    asked = request(told)
    found = put(settings, asked)
    if found["ok"] and told.command == "export":
        return _export(told, reader, found["result"])
    if told.json:
        sys.stdout.write(json.dumps(found) + "\n")
    elif found["ok"]:
        sys.stdout.write(reader.told(asked["op"], found["result"]) + "\n")
    else:
        sys.stderr.write(reader.refused(found["error"], found["detail"]) + "\n")
    return DONE if found["ok"] else REFUSED


def _confirmed(reader: Reader, *, everything: bool) -> bool:
    sentences = reader.phrases.sentences
    sys.stderr.write(sentences["wipe_all_asked" if everything else "wipe_asked"] + "\n")
    sys.stderr.write(sentences["wipe_confirm"].format(word=sentences["wipe_word"]))
    sys.stderr.flush()
    return sys.stdin.readline().strip() == sentences["wipe_word"]


def _export(told: Told, reader: Reader, archive: object) -> int:
    if told.file == STDOUT:
        sys.stdout.write(as_text(archive))
        return DONE
    write_archive(Path(told.file), archive)
    if told.json:
        sys.stdout.write(json.dumps({"ok": True, "result": {"file": told.file}}) + "\n")
    else:
        sys.stdout.write(reader.phrases.sentences["exported"].format(file=told.file) + "\n")
    return DONE


def put(settings: BoxSettings, asked: dict[str, Any]) -> dict[str, Any]:
    """Put a request to the running agent, or to the store if nobody listens; answers as the socket does.

    Raises:
        AgentAwayError: an agent runs, but does not answer.
        StoreError: the store cannot be opened.
    """
    places = places_of(settings)
    with AgentClient(places.socket) as client:
        try:
            return client.exchange(asked)
        except AgentAwayError as error:
            if not isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
                raise
    with Lock(places.state):
        core = open_core(places, clock_of(settings))
        front = Front(core)
        service = build(settings, core, front)
        found: dict[str, Any] = json.loads(front.answer(json.dumps(asked).encode()))
        service.close()
    return found
