"""Questions to the agent from the command line.

A question is put to the running agent; if none runs, the store is opened for it.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from box_agent.client import AgentAwayError, AgentClient
from box_agent.front import Front
from box_agent.questions import parser, request
from box_agent.running import build, clock_of, places_of, run
from box_agent.settings import BoxSettings, read_settings
from box_agent.starting import Lock, open_core, refuse
from shared.errors import StbError


def ask(arguments: Sequence[str]) -> int:
    """Ask it; answers with the exit status: 0 done, 1 refused, 2 wrong usage or settings."""
    told = parser().parse_args(arguments)
    if told.command == "run":
        return run(told.config)
    try:
        if told.command == "replay":
            return _replay(told.file, told.zone, as_json=told.json)
        settings = read_settings(Path(told.config), os.environ)
        return _question(settings, request(told), as_json=told.json)
    except StbError as error:
        return refuse(error)


def _replay(path: Path, zone: str, *, as_json: bool) -> int:
    from box_agent.replaying import replayed

    found = replayed(path, zone)
    sys.stdout.write((json.dumps(found) if as_json else _in_lines(found)) + "\n")
    return 0


def _question(settings: BoxSettings, asked: dict[str, Any], *, as_json: bool) -> int:
    found = put(settings, asked)
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    elif found["ok"]:
        sys.stdout.write(_in_lines(found["result"]) + "\n")
    else:
        sys.stderr.write(f"{found['error']}: {found['detail']}\n")
    return 0 if found["ok"] else 1


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


def _in_lines(found: object, indent: str = "") -> str:
    if isinstance(found, dict):
        return "\n".join(
            f"{indent}{name}:\n{_in_lines(value, indent + '  ')}"
            if isinstance(value, dict | list) and value
            else f"{indent}{name}: {_in_lines(value, '')}"
            for name, value in found.items()
        )
    if isinstance(found, list):
        return "\n\n".join(_in_lines(entry, indent) for entry in found) or f"{indent}none"
    words = {True: "yes", False: "no", None: "none"}
    return words[found] if found is None or isinstance(found, bool) else f"{indent}{found}"
