"""Releases and budget."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from headend.analytics import budget as budgets
from headend.analytics.figures import CellEstimate
from headend.analytics.published import verify_release
from headend.analytics.rehearsal import Invented, rehearse
from headend.analytics.side import AnalyticsSide
from headend.cli.common import folder_argument, json_option, opened, print_json, print_table, told
from headend.installation import Installation
from headend.kit.process import die_with_parent
from shared import dsse
from shared.register import in_force, profile
from shared.weeks import Week

PERCENT = 100


@contextmanager
def analytics_of(folder: Path) -> Iterator[AnalyticsSide]:
    """Analytics alone: its database and its keys, and no other side's."""
    with opened(folder, "analytics") as headend:
        assert headend.analytics is not None  # noqa: S101 (it was asked for)
        yield headend.analytics


@click.group()
def release() -> None:
    """Weekly releases: drawn once, never changed."""


@release.command("run")
@folder_argument
@click.argument("week")
@click.option("--spawned", is_flag=True, hidden=True, help="Die with the process that started this one.")
@told
def release_run(folder: Path, week: str, *, spawned: bool) -> None:
    """Draw a closed week's release; safe to run again, since a week is drawn once."""
    if spawned:
        die_with_parent()
    with analytics_of(folder) as analytics:
        outcome = analytics.release(Week.parse(week))
    click.echo(f"{outcome.week}: {outcome.state.value}")


@release.command("list")
@folder_argument
@json_option
@told
def release_list(folder: Path, *, as_json: bool) -> None:
    """List weeks with what has come of them."""
    with analytics_of(folder) as analytics:
        rows = [[str(week), state.value] for week, state in analytics.store.states().items()]
    if as_json:
        print_json([{"week": week, "state": state} for week, state in rows])
    else:
        print_table(["week", "state"], rows)


@release.command("show")
@folder_argument
@click.argument("week")
@click.option("--manifest", is_flag=True, help="Print the signed manifest instead of the table.")
@told
def release_show(folder: Path, week: str, *, manifest: bool) -> None:
    """Print a release's noisy table, or its signed manifest."""
    with analytics_of(folder) as analytics:
        cleared = analytics.download("manifest" if manifest else "release", "json", {"until": week})
    click.echo(cleared.payload.decode())


@release.command("key")
@folder_argument
@told
def release_key(folder: Path) -> None:
    """Print the public key that readers check manifests with."""
    with analytics_of(folder) as analytics:
        click.echo(dsse.public_to_text(analytics.keys.manifest_key().public_key()))


@release.command("verify")
@click.argument("manifest", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--key", required=True, help="The public key, as `headend release key` prints it.")
@told
def release_verify(manifest: Path, table: Path, key: str) -> None:
    """Check with the public key alone that a release's table is the one its manifest was signed for."""
    said, _ = verify_release(manifest.read_bytes(), table.read_bytes(), dsse.public_from_text(key))
    click.echo(f"{said.week}: genuine, profile {said.profile}, rho {said.rho_micro / budgets.MICRO:g}")


@release.command("rehearse")
@folder_argument
@click.option("--reporting", type=int, required=True, help="How many boxes report in each week.")
@click.option("--boxes", type=int, help="All boxes; as many as report if not said.")
@click.option("--weeks", type=int, default=4, show_default=True)
@json_option
@told
def release_rehearse(folder: Path, reporting: int, boxes: int | None, weeks: int, *, as_json: bool) -> None:
    """Draw a release of invented counts: what a panel of that size would give. It costs nothing."""
    installation = Installation(folder)
    week = Week.of(installation.clock().now(), installation.zone)
    taken = in_force(installation.profile, week.monday())
    panel = Invented(taken, installation.settings.regions, reporting, boxes or reporting, weeks)
    found = rehearse(panel, week)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    click.echo("Invented counts, real noise. Nothing was read, written or spent.")
    for measure in found.measures:
        click.echo(f"\n{measure.name}")
        rows = [_rehearsed(cell) for group in measure.groups for cell in group.cells]
        print_table(["cell", "ranks", "figure", "panel", "half-width", "withheld"], rows)


def _rehearsed(cell: CellEstimate) -> list[str]:
    ranks = f"{cell.rank_low}-{cell.rank_high}"
    name = next((one for one in ("share", "minutes", "reach") if one in cell.panel), "")
    one = cell.panel.get(name)
    figures = ["", ""] if one is None else [_plain(name, one.value), _plain(name, one.half_width)]
    return [" ".join(cell.values) or "all", ranks, name, *figures, cell.withheld]


def _plain(name: str, value: float) -> str:
    return f"{PERCENT * value:.1f} %" if "share" in name else f"{value:,.0f}"


@click.group()
def budget() -> None:
    """The privacy budget."""


@budget.command("explain")
@folder_argument
@json_option
@told
def budget_explain(folder: Path, *, as_json: bool) -> None:
    """Say what is spent and left, what would be refused, and what the profile guarantees."""
    with analytics_of(folder) as analytics:
        stamp = analytics.store.installation()
        next_week = Week.parse(analytics.side.jobs[0].next_slot().name)
        taken = in_force(profile(stamp.profile), next_week.monday())
        explained = budgets.explain(analytics.store.spendings(), next_week, taken, stamp.cap_micro)
    guarantee = budgets.statement(taken)
    if as_json:
        both = {"budget": msgspec.to_builtins(explained), "guarantee": msgspec.to_builtins(guarantee)}
        print_json(both)
        return
    click.echo(explained.plain)
    print_guarantee(guarantee)


def print_guarantee(guarantee: budgets.Statement) -> None:
    """Print what is guaranteed, by span, and the same in words."""
    rows = [
        [str(span.weeks), f"{span.rho:.4f}", f"{span.epsilon:.2f}", f"{PERCENT * span.recognition:.1f} %"]
        for span in guarantee.spans
    ]
    print_table(["weeks", "rho", f"epsilon at {guarantee.delta:g}", "recognised at 5 % false alarms"], rows)
    click.echo(guarantee.plain)
