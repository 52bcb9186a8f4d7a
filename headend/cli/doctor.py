"""Checking an installation, and being told what to do."""

import sys
from pathlib import Path

import click

from headend.cli.common import folder_argument, json_option, print_json, told
from headend.doctor.examine import examine, failed
from headend.doctor.findings import Finding, Verdict
from headend.installation import ALL_SIDES, Installation
from shared.errors import StbError

SIGNS = {Verdict.FINE: "fine   ", Verdict.WARNING: "warning", Verdict.BROKEN: "BROKEN "}


@click.command()
@folder_argument
@json_option
@click.option("--sides", help="Which sides it should have.  [default: all that the folder has]")
@click.option(
    "--thorough", is_flag=True, help="Also what takes as long as there are rows: whole audits, sums."
)
@click.option("--strict", is_flag=True, help="Exit status 1 for warnings too.")
@told
def doctor(folder: Path, sides: str | None, *, as_json: bool, thorough: bool, strict: bool) -> None:
    """Check an installation and say what to do; changes nothing, served or not.

    Exit status 0 if nothing is broken, 1 if something is.
    """
    wanted = tuple(sides.split(",")) if sides else _sides_of(folder)
    unknown = set(wanted) - set(ALL_SIDES)
    if unknown:
        raise click.UsageError(f"no side {', '.join(sorted(unknown))}")
    findings = examine(folder, wanted, thorough=thorough)
    if as_json:
        print_json([vars(one) for one in findings])
    else:
        _tell(findings)
    if failed(findings, strict=strict):
        sys.exit(1)


def _sides_of(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(side for side in Installation(folder).sides if side in ALL_SIDES)
    except StbError:
        return ALL_SIDES  # whatever is wrong with the settings is told by a check


def _tell(findings: list[Finding]) -> None:
    width = max(len(one.check) for one in findings)
    for one in findings:
        click.echo(f"{SIGNS[one.verdict]}  {one.check.ljust(width)}  {one.says}")
        if one.do:
            click.echo(f"{' ' * (11 + width)}-> {one.do}")
    counts = {verdict: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    click.echo(
        f"{counts[Verdict.BROKEN]} broken, {counts[Verdict.WARNING]} warnings, {counts[Verdict.FINE]} fine"
    )
