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


_REQUESTS: dict[str, Callable[[Told], Request]] = {
    "enrol": lambda told: {"code": told.code},
    "order": _order,
    "consent": _consent,
    "reminded": lambda told: {"how": HOW} | _language(told),
    "notice": _language,
    "sent": lambda told: {"pin": _pin("PIN: ", told.pin_file)} | _language(told),
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
    commands.add_parser("run", help="run the agent until it is told to stop")
    enrol = commands.add_parser("enrol", help="bind this box to an account")
    enrol.add_argument("code", help="the code that the subscriber was given")
    replay = commands.add_parser("replay", help="what a recorded session of a player amounts to")
    replay.add_argument("file", type=Path, help="JSON lines, recorded from Kodi or of the agent's own events")
    replay.add_argument("--zone", default="UTC", help="the time zone to tell it in (default: %(default)s)")
    commands.add_parser("status", help="how the agent stands")
    consent = commands.add_parser(
        "consent", help="show, give or withdraw the consent to tell what was viewed"
    )
    consent.add_argument("answer", nargs="?", choices=("grant", "withdraw"), help="leave out to show it")
    consent.add_argument("--notice", type=int, default=0, help="the version of the notice that was read")
    notice = commands.add_parser("notice", help="the notice that consent is asked to")
    reminded = commands.add_parser("reminded", help="note that the household was shown the notice again")
    sent = commands.add_parser("sent", help="what has left this box on the anonymous line; asks for the PIN")
    for command in (consent, notice, reminded, sent):
        command.add_argument("--language", choices=LANGUAGES, help="default: that of the settings")
    set_pin = commands.add_parser("set-pin", help="set the PIN before the log of what was sent")
    set_pin.add_argument("--first", action="store_true", help="there is none yet")
    set_pin.add_argument("--old-pin-file", help="a file with the present PIN; asked for if left out")
    for command in (sent, set_pin):
        command.add_argument("--pin-file", help="a file with the PIN; asked for if left out")
    commands.add_parser("reset-pin", help="remove a forgotten PIN, and with it the log that it guarded")
    commands.add_parser("offers", help="what can be ordered now")
    commands.add_parser("promotions", help="what takes something off an order now")
    commands.add_parser("orders", help="what was ordered")
    order = commands.add_parser("order", help="place an order")
    order.add_argument("offer", help="the offer's id")
    order.add_argument("--promotion", help="the id of a promotion that takes something off it")
    for name, text in _EVIDENCE.items():
        order.add_argument(name, action="store_true", help=text)
    return found
