"""The report: the truth beside what the headend published, for a person and as JSON."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from shared.named import PROTOCOL_VERSION
from shared.register import Grid, profile
from simulator.invariants import Books, Invariant, judge, lost_and_doubled
from simulator.resident import Account
from simulator.truth import MeasureTruth
from simulator.world import Outcome

GENRE = "genre"
VIEWING = "viewing"
PERCENT = 100
LONGEST = 4


class Report:
    """Everything that is told of one play."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._headend = outcome.headend
        self._folder = str(outcome.headend.folder)
        self.books = Books.of(outcome, outcome.setup.folder / "export")
        self.invariants: list[Invariant] = judge(outcome, self.books)
        self.releases: list[dict[str, str]] = self._headend.asked("release", "list", self._folder)
        self.weeks = [one["week"] for one in self.releases if one["state"] == "released"]
        self.estimates: dict[str, Any] | None = None
        if self.weeks:
            window = "four" if len(self.weeks) >= LONGEST else "week"
            self.estimates = self._headend.asked("popularity", self._folder, "--window", window)
        self.budget: dict[str, Any] = self._headend.asked("budget", "explain", self._folder)

    @property
    def holds(self) -> bool:
        """Whether every invariant held."""
        return all(one.holds for one in self.invariants)

    def truth(self, measure: str) -> MeasureTruth:
        """The truth of a measure over the weeks of the estimates."""
        whole = MeasureTruth()
        for week in (self.estimates or {}).get("weeks", []):
            whole.add(self.outcome.account.truth.get((week, measure), MeasureTruth()))
        return whole

    def popularity(self) -> list[dict[str, Any]]:
        """The genres in the order of their estimates, each with truth, estimate and intervals."""
        rows = self._shares(GENRE) if self.estimates else []
        return sorted(rows, key=lambda row: (row["rank_low"], -row["truth"]))

    def _shares(self, name: str) -> list[dict[str, Any]]:
        truth = self.truth(name)
        measure = profile(self.outcome.setup.profile).measure(name)
        grid = Grid(measure, ())
        rows = []
        for cell in _cells(self.estimates, name):
            number = grid.cell(*cell["values"])
            share = truth.amounts.get(number, 0.0) / max(1, truth.boxes)
            panel = cell["panel"].get("share")
            rows.append(
                {
                    "genre": cell["values"][0],
                    "truth": share,
                    "panel": panel,
                    "all_boxes": cell["all_boxes"].get("share"),
                    "inside": None if panel is None else panel["low"] <= share <= panel["high"],
                    "withheld": cell["withheld"],
                    "rank_low": cell["rank_low"],
                    "rank_high": cell["rank_high"],
                }
            )
        return rows

    def viewing(self) -> dict[str, Any]:
        """Hours viewed and boxes that viewed, beside the truth."""
        if not self.estimates:
            return {}
        truth = self.truth(VIEWING)
        (cell,) = _cells(self.estimates, VIEWING)
        weeks = len(self.estimates["weeks"])
        return {
            "truth_minutes": truth.amounts.get(1, 0.0),
            "truth_reach": truth.reached.get(1, 0) / weeks,
            "panel": cell["panel"],
            "all_boxes": cell["all_boxes"],
        }

    def as_json(self) -> dict[str, Any]:
        """The whole report as plain values."""
        account = self.outcome.account
        lost, doubled = lost_and_doubled(self.books, account)
        return {
            "seed": self.outcome.setup.seed,
            "households": self.outcome.setup.households,
            "weeks": self.outcome.setup.weeks,
            "profile": self.outcome.setup.profile,
            "faults": self.outcome.setup.faults,
            "holds": self.holds,
            "invariants": [asdict(one) for one in self.invariants],
            "orders": {
                "placed": len(account.placed),
                "lost": lost,
                "doubled": doubled,
                **_kinds_of_orders(account),
            },
            "boxes": {"moved": account.moved, "resold": account.resold, "updated": account.updated},
            "reconciliation": self.books.sums,
            "fragments": dict(account.fragments),
            "mishaps": dict(account.mishaps),
            "kills": {"agents": account.kills, "headend and relay": self.outcome.killed},
            "adversary": [asdict(one) | {"held": one.held} for one in self.outcome.attempts],
            "releases": self.releases,
            "popularity": self.popularity(),
            "viewing": self.viewing(),
            "guarantee": self.budget,
        }

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(self.as_json(), indent=2, default=str) + "\n")

    # --- for a person
    def show(self, console: Console) -> None:
        """Print it."""
        self._show_town(console)
        self._show_books(console)
        self._show_bill(console)
        self._show_popularity(console)
        self._show_guarantee(console)
        self._show_adversary(console)
        self._show_invariants(console)

    def _show_town(self, console: Console) -> None:
        account, setup = self.outcome.account, self.outcome.setup
        told = account.fragments
        console.print(
            f"\n[bold]The town[/]: {setup.households:,} households, "
            f"{account.consenting:,} boxes with consent, {account.events:,} events "
            f"on {account.box_days:,} box-days"
        )
        console.print(
            f"  the network: {_counts(account.mishaps)}\n"
            f"  killed: agents {account.kills} times; {', '.join(self.outcome.killed) or 'nothing else'}\n"
            f"  fragments that left the boxes: {_counts(told)}"
        )

    def _show_books(self, console: Console) -> None:
        sums = self.books.sums
        account = self.outcome.account
        lost, doubled = lost_and_doubled(self.books, account)
        table = Table(title="Reconciliation", title_justify="left")
        table.add_column("where an order stands")
        table.add_column("orders", justify="right")
        table.add_column("EUR", justify="right")
        for name, value in (
            ("billed", _euro(sums["billed_cents"])),
            ("credited", ""),
            ("zero_rated", ""),
            ("suspended", _euro(sums["suspended_cents"])),
            ("rejected", ""),
            ("not_yet_due", _euro(sums["not_yet_due_cents"])),
            ("in_flight", ""),
        ):
            table.add_row(name.replace("_", " "), f"{sums[name]:,}", value)
        table.add_section()
        table.add_row("placed on boxes", f"{len(account.placed):,}", "")
        table.add_row("received", f"{sums['received']:,}", "")
        table.add_row(f"lost {len(lost)}, doubled {len(doubled)}", "", "")
        console.print(table)
        console.print(f"  orders: {_counts(_kinds_of_orders(account))}")
        console.print(
            f"  boxes: {account.moved} moved, {account.resold} resold, {account.updated} updated to "
            f"version {PROTOCOL_VERSION} of the protocol"
        )
        for one in self.books.verdicts:
            console.print(f"  export {one['name']}: {one['verdict']}, {one['entries']:,} entries")

    def _show_bill(self, console: Console) -> None:
        bills = [bill for bill in self.books.invoices if bill["kind"] == "invoice"]
        if not bills:
            return
        usual = min(bills, key=lambda bill: (abs(len(bill["lines"]) - 4), bill["number"]))
        text = self._headend.command("invoice", "show", self._folder, usual["number"])
        console.print(Panel(text.rstrip(), title="A bill as the subscriber sees it", expand=False))

    def _show_popularity(self, console: Console) -> None:
        if not self.estimates:
            console.print("[bold]Popularity[/]: nothing was released: the panel is below the profile's floor")
            return
        weeks = self.estimates["weeks"]
        table = Table(title=f"Genre popularity, {weeks[0]} to {weeks[-1]}", title_justify="left")
        table.add_column("rank")
        table.add_column("genre")
        for column in ("truth (panel)", "estimate", "95 % interval", "all boxes", "inside"):
            table.add_column(column, justify="right")
        for row in self.popularity():
            table.add_row(*_row(row))
        console.print(table)
        viewing = self.viewing()
        minutes = viewing["panel"].get("minutes")
        if minutes:
            console.print(
                f"  hours viewed by the panel: truth {viewing['truth_minutes'] / 60:,.0f}, estimate "
                f"{minutes['value'] / 60:,.0f} ({minutes['low'] / 60:,.0f} to {minutes['high'] / 60:,.0f})"
            )
        console.print(
            "  equal ranks are ties; withheld is what the noise could have made; one interval in 20 misses"
        )

    def _show_guarantee(self, console: Console) -> None:
        taken = profile(self.outcome.setup.profile)
        table = Table(title=f"What profile {taken.name} guarantees", title_justify="left")
        for column in ("measure", "quota", "rho a week", "sigma"):
            table.add_column(column, justify="right")
        for measure in taken.measures:
            rho = f"{measure.rho_micro / 1_000_000:.4f}"
            table.add_row(measure.name, str(measure.quota), rho, f"{measure.sigma:.1f}")
        console.print(table)
        for span in self.budget["guarantee"]["spans"]:
            console.print(
                f"  {span['weeks']:>2} weeks, all measures: rho {span['rho']:.4f}, "
                f"epsilon {span['epsilon']:.2f} at delta {self.budget['guarantee']['delta']:g}"
            )
        console.print(f"  {self.budget['budget']['plain']}")
        console.print(f"  {self.budget['guarantee']['plain']}")

    def _show_adversary(self, console: Console) -> None:
        if not self.outcome.attempts:
            return
        table = Table(title="What the adversary tried", title_justify="left")
        for column in ("attempt", "met", ""):
            table.add_column(column)
        for attempt in self.outcome.attempts:
            table.add_row(attempt.what, attempt.met, _mark(holds=attempt.held))
        console.print(table)

    def _show_invariants(self, console: Console) -> None:
        table = Table(title="What must always hold", title_justify="left")
        for column in ("", "sentence", "found"):
            table.add_column(column)
        for one in self.invariants:
            table.add_row(_mark(holds=one.holds), one.sentence, one.found)
        console.print(table)


def _cells(estimates: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    measures = (estimates or {}).get("measures", [])
    return [
        cell
        for measure in measures
        if measure["name"] == name
        for group in measure["groups"]
        for cell in group["cells"]
    ]


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    ranks = str(row["rank_low"])
    if row["rank_high"] != row["rank_low"]:
        ranks += f"-{row['rank_high']}"
    if row["panel"] is None:
        return ranks, row["genre"], _percent(row["truth"]), "withheld", "", "", ""
    panel, everywhere = row["panel"], row["all_boxes"]
    return (
        ranks,
        row["genre"],
        _percent(row["truth"]),
        _percent(panel["value"]),
        f"{_percent(panel['low'])} to {_percent(panel['high'])}",
        f"{_percent(everywhere['low'])} to {_percent(everywhere['high'])}" if everywhere else "",
        _mark(holds=row["inside"]),
    )


def _kinds_of_orders(account: Account) -> dict[str, int]:
    told = Counter(account.unpaid.values())
    return {
        "with a promotion": sum(order.credit_cents > 0 for order in account.placed),
        "stopped in their preview": told["stopped"],
        "failed": told["failed"],
        "of the version before": sum(order.version < PROTOCOL_VERSION for order in account.placed),
    }


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "nothing"


def _mark(*, holds: bool) -> str:
    return "[green]yes[/]" if holds else "[red]NO[/]"


def _percent(share: float) -> str:
    return f"{PERCENT * share:.1f} %"


def _euro(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02}"
