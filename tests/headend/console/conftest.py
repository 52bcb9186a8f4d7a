"""A console with invented sides, and four people: Alice, Bob, Charlie and Dana."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from markupsafe import escape
from werkzeug.test import TestResponse

from headend.console import passwords
from headend.console.frame import Settings
from headend.console.side import ConsoleSide, make_console
from headend.disclosure import DisclosureError, Kind, Purpose, Recipient, clear
from headend.kit.charts import Bar, bar_chart
from headend.kit.jobs import JobState, Slot
from headend.kit.runs import Run
from headend.kit.side import Attachment, Deed, Done, Download, Group, Page, PagePart, Side, Tile, Visit
from shared.clock import ManualClock, to_ms
from tests.engines import place

START = datetime(2026, 10, 12, 8, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
PEOPLE = {"alice": "billing", "bob": "analyst", "charlie": "admin", "dana": "privacy-officer"}
FRAGMENTS = Path(__file__).parent / "fragments"
TABLE = (FRAGMENTS / "table.html").read_text()
ROW = (FRAGMENTS / "row.html").read_text()
POPULARITY = (FRAGMENTS / "popularity.html").read_text()
BILL = (FRAGMENTS / "bill.html").read_text()


def orders(visit: Visit) -> str:
    states = ("billed", "suspended", "rejected", "placed")
    rows = "".join(ROW.format(day=day, state=states[day % 4]) for day in range(1, 13))
    return TABLE.format(account=escape(visit.arg("account")), rows=rows)


def popularity(_: Visit) -> str:
    names = ("film drama", "news", "sport", "children", "music", "arts", "education")
    bars = [Bar(name, 30 - 4 * at, 27 - 4 * at, 33 - 4 * at) for at, name in enumerate(names)]
    bars.append(Bar("leisure", withheld="too small"))
    chart = bar_chart("genre", "Genre", "drama 30 %", bars, lambda value: f"{value:.1f} %")
    return POPULARITY.replace("CHART", chart).replace("ROWS", "".join(map(share_row, bars)))


def share_row(bar: Bar) -> str:
    name = f'<th scope="row">{bar.label}</th>'
    if bar.withheld:
        return f'<tr class="withheld">{name}<td colspan="2">withheld: {bar.withheld}</td></tr>'
    figures = (f"{bar.value:.1f} %", f"{bar.low:.1f} to {bar.high:.1f}")
    cells = "".join('<td class="number">' + text + "</td>" for text in figures)
    return f"<tr>{name}{cells}</tr>"


def registers(visit: Visit) -> str:
    raise DisclosureError(f"no register {visit.arg('name')}")


def account(visit: Visit) -> Page:
    return Page("<p>records</p>", title=visit.arg("account"), about=(visit.arg("account"),))


def credit(visit: Visit) -> Done | Page:
    if visit.arg("step") == "preview":
        return Page("<p>would credit</p>", about=("account-0001",))
    return Done("/console/invoices", "INV-1", ("account-0001",))


def batch(visit: Visit) -> Attachment:
    recipient = Recipient(visit.arg("to") or "billing system")
    cleared = clear(b"entry;cents\n1;499\n", Kind.EXPORT_BATCH, recipient, Purpose.BILLING)
    return Attachment(cleared, "batch-1.csv", "text/csv; charset=utf-8")


@dataclass
class Bare:
    """Looks like something cleared, and is not."""

    payload: bytes = b"everything"
    kind: str = Kind.EXPORT_BATCH
    recipient: str = Recipient.BILLING_SYSTEM
    purpose: str = Purpose.BILLING


def side(
    name: str,
    pages: list[PagePart],
    downloads: list[Download],
    tiles: dict[str, list[Tile]],
    deeds: list[Deed] | None = None,
) -> Side:
    return Side(
        name=name,
        blueprints=(Blueprint(name, __name__),),
        jobs=[],
        pages=pages,
        tiles=lambda visit: tiles.get(visit.role, []),
        metrics=list,
        ready=lambda: None,
        close=lambda: None,
        downloads=downloads,
        deeds=deeds or [],
    )


def sides() -> list[Side]:
    money, figures = frozenset({"billing"}), frozenset({"analyst", "privacy-officer"})
    tiles = [
        Tile("Orders received", "12,408", "11,902 billed"),
        Tile("Not yet due", "EUR 1,204.50", "301 orders"),
        Tile("Billed", "EUR 48,211.07", "including VAT"),
        Tile("In suspense", "EUR 4.99", "1 order", alarm=True, href="/console/orders?state=suspended"),
        Tile("Books", "close", "25,110 entries"),
        Tile("<b>Boxes</b> & more", "<script>alert(1)</script>", '" onmouseover="x'),
    ]
    billing = side(
        "billing",
        [
            PagePart("orders", "Orders", money, orders, Group.BILLING),
            PagePart("invoices", "Invoices", money, lambda _: BILL, Group.BILLING),
            PagePart("account", "Account", money, account),
        ],
        [
            Download("exports/batch", "Export batch", money, batch),
            Download(
                "exports/bare", "Never cleared", money, lambda _: Attachment(Bare(), "all.csv", "text/csv")
            ),
            Download(
                "exports/split",
                "A header in a name",
                money,
                lambda visit: Attachment(batch(visit).cleared, 'a"\r\nSet-Cookie: b.csv', "text/csv"),
            ),
        ],
        {"billing": tiles},
        [Deed("invoices/credit", "Credit", money, credit)],
    )
    analytics = side(
        "analytics",
        [
            PagePart("popularity", "Popularity", figures, popularity, Group.POPULARITY),
            PagePart("registers", "Registers", frozenset({"privacy-officer"}), registers, Group.PRIVACY),
        ],
        [],
        {role: [Tile("Latest release", "2026-W40", "640 boxes")] for role in figures},
    )
    return [billing, analytics]


def jobs() -> list[JobState]:
    ran = Run("2026-W40", to_ms(START - timedelta(days=1)))
    return [
        JobState("release", Slot("2026-W41", START + timedelta(days=6)), ran, failed=False),
        JobState("invoices", Slot("2026-09", START - timedelta(hours=3)), None, failed=False),
        JobState("draw", Slot("2026-W43", START - timedelta(minutes=1)), ran, failed=False),
    ]


class Visitor:
    """A browser without a screen: keeps cookies, reads the form's token from the page."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **kwargs: object) -> TestResponse:
        return self.client.get(f"/console{path}", **kwargs)

    def post(self, path: str, form: str = "", **fields: str) -> TestResponse:
        """Send a form as the page at `form` (else the same path) makes it."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(form or path).text)
        assert found, "no form token on that page"
        return self.client.post(f"/console{path}", data={"csrf": found[1], **fields})

    def sign_in(self, name: str, password: str = PASSWORD, wanted: str = "") -> TestResponse:
        return self.post("/sign-in", name=name, password=password, next=wanted)


@dataclass
class Stage:
    """The console as the composition root would make it."""

    console: ConsoleSide
    app: Flask
    clock: ManualClock
    installation_clock: ManualClock

    def visitor(self) -> Visitor:
        return Visitor(self.app.test_client())

    def signed_in(self, name: str, password: str = PASSWORD) -> Visitor:
        visitor = self.visitor()
        answer = visitor.sign_in(name, password)
        assert answer.status_code == 303, answer.text
        return visitor

    def audit(self) -> list[tuple[str, str, str, str]]:
        rows = self.console.store._storage.read().execute(
            "SELECT operator, action, what, detail FROM audit ORDER BY line"
        )
        return [tuple(row) for row in rows]


MakeStage = Callable[..., Stage]


@pytest.fixture
def make_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeStage]:
    # Weak and quick: these passwords guard nothing.
    monkeypatch.setattr(passwords, "METHOD", "scrypt:1024:8:1")
    passwords.decoy.cache_clear()
    made: list[ConsoleSide] = []

    def make(*, simulated: bool = False, secure: bool = False) -> Stage:
        clock, steered = ManualClock(START), ManualClock(START)
        keys = tmp_path / "keys" / "console"
        settings = Settings(clock, steered, simulated, secure, ZoneInfo("Europe/Amsterdam"), keys)
        console = make_console(place("console", tmp_path / "console.sqlite"), settings)
        made.append(console)
        for name, role in PEOPLE.items():
            console.operators.add_operator(name, role, PASSWORD, must_change=False)
        app = Flask("test")
        app.register_blueprint(console.side.blueprints[0])
        console.offer([*sides(), console.side], jobs)
        return Stage(console, app, clock, steered)

    yield make
    for console in made:
        console.side.close()
    passwords.decoy.cache_clear()


@pytest.fixture
def stage(make_stage: MakeStage) -> Stage:
    return make_stage()
