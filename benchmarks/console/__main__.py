"""Every page of the console over a million orders and two years of releases: server time and bytes.

The whole application answers, as granian's worker would call it: sign-in recognised, page made, look written
to the audit and synced. Each page is asked for a few times to warm up, then `--times` times; what is told is
the 95th of 100, beside the same of a page without records (`Your sign-in`) in the same run.

    python -m benchmarks.console --orders 1000000 --accounts 100000 --weeks 104
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

from flask import Flask
from flask.testing import FlaskClient

from benchmarks.console import orders, releases
from headend.app import Headend, create_app, open_headend
from headend.installation import Installation
from headend.kit.side import PagePart
from shared.system_clock import SystemClock
from tests.filled import PASSWORD, PEOPLE, installation

T = TypeVar("T")

MOST_MS, MOST_BYTES = 200.0, 250 * 1024
WARM = 3
YARDSTICK = "password"


@dataclass(frozen=True)
class Measured:
    """One address: the 95th of 100 in milliseconds, the first time, and its bytes."""

    who: str
    address: str
    p95_ms: float
    first_ms: float
    size: int


def there(found: T | None) -> T:
    """What has to be there."""
    if found is None:
        raise RuntimeError("a side is missing")
    return found


def sample(headend: Headend) -> dict[str, list[str]]:
    """Queries for pages that are of one thing, and some that filter, by path."""
    look = there(headend.billing).store.read()
    order = next(iter(look.orders(None, None, 1)))
    bill = next(iter(look.invoices(None, 1))).number
    account = order.account or ""
    dispute = next(iter(look.disputes(None, None))).dispute
    return {
        "order": [f"?ref={order.ref}"],
        "orders": [
            *("", "?state=billed", "?state=rejected&display=game", "?state=zero-rated", "?month=2025-08"),
            *(f"?account={account}", "?state=billed&month=2025-08&display=game", f"?box={order.box}"),
        ],
        "invoice": [f"?number={bill}"],
        "invoices": ["", f"?account={account}", "?month=2025-08", "?kind=credit-note"],
        "dispute": [f"?number={dispute}"],
        "account": [f"?account={account}"],
        "box": [f"?box={order.box}"],
        "boxes": ["", "?heard=silent", "?heard=1h"],
        "export": ["?batch=1"],
        "reconciliation": ["", "?month=2025-08"],
        "subscriber": [f"?account={account}"],
        "popularity": ["", "?window=quarter", "?window=week"],
        "trends": ["", "?weeks=104"],
        "audit": ["", "?operator=alice"],
        "audit/about": [f"?account={account}"],
        "request": [],
    }


def addresses(headend: Headend, role: str) -> Iterator[str]:
    """What somebody of a role can look at."""
    queries = sample(headend)
    parts: list[PagePart] = [part for side in headend.sides() for part in side.pages if role in part.roles]
    yield ""
    for part in parts:
        yield from (part.path + query for query in queries.get(part.path, [""]))


def sign_in(app: Flask, name: str) -> FlaskClient:
    """A client that is signed in."""
    client = app.test_client()
    token = there(re.search(r'name="csrf" value="([^"]+)"', client.get("/console/sign-in").text))
    client.post("/console/sign-in", data={"csrf": token[1], "name": name, "password": PASSWORD})
    return client


def measure(client: FlaskClient, who: str, address: str, times: int) -> Measured:
    """Ask for one address again and again."""
    clock, took, size = SystemClock(), [], 0
    for _ in range(WARM + times):
        begun = clock.monotonic()
        answer = client.get(f"/console/{address}")
        took.append(1000 * (clock.monotonic() - begun))
        if answer.status_code != HTTPStatus.OK:
            raise RuntimeError(f"{address}: {answer.status}")
        size = len(answer.data)
    warm = sorted(took[WARM:])
    return Measured(who, address or "(overview)", warm[int(0.95 * (len(warm) - 1))], took[0], size)


def fill(folder: Path, asked: argparse.Namespace) -> Path:
    """A large installation, with four operators."""
    made = installation(folder, asked.weeks)
    headend = open_headend(made)
    orders.fill(there(headend.billing).store, accounts=asked.accounts, orders=asked.orders, seed=asked.seed)
    first = headend.installation.first_week
    releases.fill(there(headend.analytics).store, first, asked.weeks, "regional", asked.seed)
    for name, role in PEOPLE.items():
        there(headend.console).operators.add_operator(name, role, PASSWORD, must_change=False)
    headend.close()
    return made.folder


def main() -> int:
    """Measure every page; 1 if one is too slow or too large."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--weeks", type=int, default=104)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keep the installation here, and use it again")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="stb-console-"))
    place = folder / "headend"
    if not place.exists():
        print(f"filling with {asked.orders:,} orders of {asked.accounts:,} accounts ...", flush=True)
        place = fill(folder, asked)
    headend = open_headend(Installation(place))
    app = create_app(headend)
    found = []
    for name, role in PEOPLE.items():
        client = sign_in(app, name)
        found += [measure(client, name, one, asked.times) for one in (YARDSTICK, *addresses(headend, role))]
    headend.close()
    if asked.folder is None:
        shutil.rmtree(folder)
    return tell(found)


def tell(found: list[Measured]) -> int:
    """Print what was measured; 1 if a page is over its limit."""
    yardstick = min(one.p95_ms for one in found if one.address == YARDSTICK)
    print(f"{'who':<8} {'address':<44} {'p95 ms':>8} {'ratio':>7} {'first ms':>9} {'KiB':>7}")
    over = 0
    for one in sorted(found, key=lambda one: -one.p95_ms):
        bad = one.p95_ms > MOST_MS or one.size > MOST_BYTES
        over += bad
        print(
            f"{one.who:<8} {one.address[:44]:<44} {one.p95_ms:8.1f} {one.p95_ms / yardstick:7.1f} "
            f"{one.first_ms:9.1f} {one.size / 1024:7.1f}{'  OVER' if bad else ''}"
        )
    print(f"{len(found)} addresses; {over} over {MOST_MS:.0f} ms or {MOST_BYTES // 1024} KiB")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
