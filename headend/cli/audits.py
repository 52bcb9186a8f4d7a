"""Audits whose lines are chained, followed from the first line to the last."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from headend.app import Headend
from headend.billing.auditing import follow_audit
from headend.cli.common import folder_argument, json_option, opened, print_json, print_table, told
from headend.kit.chain import Verdict


def _console(headend: Headend) -> Verdict:
    assert headend.console is not None  # noqa: S101 (it was asked for)
    return headend.console.auditing.verdict()


def _billing(headend: Headend) -> Verdict:
    assert headend.billing is not None  # noqa: S101 (it was asked for)
    return follow_audit(headend.billing.store.read())


CHAINS: dict[str, Callable[[Headend], Verdict]] = {"billing": _billing, "console": _console}
"""What follows the audit of each side that chains one; the side's own part is opened for it."""


@click.group()
def audit() -> None:
    """What operators looked at and changed."""


@audit.command("verify")
@folder_argument
@json_option
@told
def audit_verify(folder: Path, *, as_json: bool) -> None:
    """Follow the chain of every audit; exit status 1 if a line was changed, taken away or slipped in."""
    with opened(folder, *CHAINS) as headend:
        found = {side: follow(headend) for side, follow in CHAINS.items()}
    if as_json:
        print_json({side: {"holds": one.holds, **vars(one)} for side, one in found.items()})
    else:
        columns = ["audit", "lines", "verdict", "head"]
        print_table(columns, [[side, str(one.lines), _verdict(one), one.head] for side, one in found.items()])
    if not all(one.holds for one in found.values()):
        sys.exit(1)


def _verdict(verdict: Verdict) -> str:
    return "holds" if verdict.broken is None else f"line {verdict.broken} is broken"
