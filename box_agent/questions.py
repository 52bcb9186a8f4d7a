"""What the command line asks of the agent: its words, and the request that each becomes."""

import argparse
import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.words import LANGUAGES

HOW = "command line"
Told = argparse.Namespace
Request = dict[str, Any]

_EVIDENCE = {
    "--pin-verified": "the PIN was asked for and right",
    "--immediate-supply": "the household agreed to immediate supply",
    "--confirmation-shown": "the confirmation was shown",
}


def request(told: Told) -> Request:
    """The request to put to the agent for a parsed command; may ask the person for a PIN."""
    make = _REQUESTS.get(told.command)
    return {"op": told.command} | (make(told) if make else {})


def _order(told: Told) -> Request:
    evidence = {
        "pin_verified": told.pin_verified,
        "consent_immediate_supply": told.immediate_supply,
        "confirmation_shown": told.confirmation_shown,
    }
    return {"offer": told.offer, "evidence": evidence, "promotion": told.promotion}


def _consent(told: Told) -> Request:
    if told.answer is None:
        return {}
    granted = told.answer == "grant"
    answer = {"op": "set-consent", "granted": granted, "notice": told.notice, "how": HOW}
    return answer | _language(told)


def _guarded(told: Told) -> Request:
    return {"pin": _pin("PIN: ", told.pin_file)} | _language(told)


def _set_pin(told: Told) -> Request:
    old = "" if told.first else _pin("present PIN: ", told.old_pin_file)
    return {"old": old, "new": _pin("new PIN: ", told.pin_file)}


def _language(told: Told) -> Request:
    return {"language": told.language} if told.language else {}


def _pin(prompt: str, file: str | None) -> str:
    """A PIN from a file, a pipe or typed unseen; never from the command line, which others can see."""
    if file is not None:
        return Path(file).read_text(encoding="utf-8").strip()
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().strip()


_GUARDED = {
    "sent": "what has left this box on the anonymous line",
    "recorded": "what was viewed and ordered and not told yet",
    "waiting": "what waits to leave this box, and its tokens",
    "export": "everything that this box knows of its household, as one JSON document",
}
"""What tells what a household watched."""
_ON_A_BENCH = "the anonymous line too, although nobody has consented: on an installer's bench only"
_WORDLESS = frozenset({"run", "replay", "selftest"})
_REQUESTS: dict[str, Callable[[Told], Request]] = {
    "enrol": lambda told: {"code": told.code},
    "order": _order,
    "consent": _consent,
    "reminded": lambda told: {"how": HOW} | _language(told),
    "notice": _language,
    "sent": _guarded,
    "recorded": _guarded,
    "waiting": _guarded,
    "export": _guarded,
    "wipe": lambda told: {"how": HOW, "everything": told.all},
    "set-pin": _set_pin,
}


def parser() -> argparse.ArgumentParser:
    """The command line's words."""
    found = argparse.ArgumentParser(
        prog="box-agent",
        description="Keeps orders safe and sends them; records viewing if the household allows it.",
    )
    found.add_argument("--config", default="/etc/box-agent.toml", help="the settings (default: %(default)s)")
    found.add_argument("--json", action="store_true", help="answer as one line of JSON")
    commands = found.add_subparsers(dest="command", required=True)
    add = commands.add_parser
    add("run", help="run the agent until it is told to stop")
    enrol = add("enrol", help="bind this box to an account")
    enrol.add_argument("code", help="the code that the subscriber was given")
    replay = add("replay", help="what a recorded session of a player amounts to")
    replay.add_argument("file", type=Path, help="JSON lines, recorded from Kodi or of the agent's own events")
    replay.add_argument("--zone", default="UTC", help="the time zone to tell it in (default: %(default)s)")
    selftest = add("selftest", help="whether this box and both lines work, step by step")
    selftest.add_argument("--anonymous", action="store_true", help=_ON_A_BENCH)
    add("status", help="how the agent stands")
    consent = add("consent", help="show, give or withdraw the consent to tell what was viewed")
    consent.add_argument("answer", nargs="?", choices=("grant", "withdraw"), help="leave out to show it")
    consent.add_argument("--notice", type=int, default=0, help="the version of the notice that was read")
    add("notice", help="the notice that consent is asked to")
    add("reminded", help="note that the household was shown the notice again")
    _add_guarded(commands)
    wipe = add("wipe", help="destroy what this box knows of its household")
    wipe.add_argument("--all", action="store_true", help="orders and who this box is, too: for a resale")
    wipe.add_argument("--yes", action="store_true", help="do not ask whether that is meant")
    add("offers", help="what can be ordered now")
    add("promotions", help="what takes something off an order now")
    add("orders", help="what was ordered")
    order = add("order", help="place an order")
    order.add_argument("offer", help="the offer's id")
    order.add_argument("--promotion", help="the id of a promotion that takes something off it")
    for name, text in _EVIDENCE.items():
        order.add_argument(name, action="store_true", help=text)
    for name, command in commands.choices.items():
        if name not in _WORDLESS:
            command.add_argument("--language", choices=LANGUAGES, help="default: that of the settings")
    return found


def _add_guarded(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    pin_file = "a file with the PIN; asked for if left out"
    for name, text in _GUARDED.items():
        commands.add_parser(name, help=f"{text}; asks for the PIN").add_argument("--pin-file", help=pin_file)
    commands.choices["export"].add_argument("file", metavar="FILE", help="where to; - for standard output")
    set_pin = commands.add_parser("set-pin", help="set the PIN before all of that")
    set_pin.add_argument("--first", action="store_true", help="there is none yet")
    set_pin.add_argument("--old-pin-file", help="a file with the present PIN; asked for if left out")
    set_pin.add_argument("--pin-file", help=pin_file)
    commands.add_parser("reset-pin", help="remove a forgotten PIN, and with it the log that it guarded")
