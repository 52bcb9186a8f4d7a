"""The tables of docs/capacity.md, made of the model."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.capacity.boxes import NAMED
from benchmarks.capacity.model import Model
from benchmarks.growth.sized import Size
from benchmarks.growth.turns import Cost
from benchmarks.nodes.figures import Found
from shared.register import profile, profile_names

SIZES = (100_000, 1_000_000, 10_000_000, 25_000_000)
WEEKS = (1, 4, 13, 26, 52, 104)
LINES = (*NAMED, "fragment")
_WEEK_S = 604_800
_HOUR_S, _MINUTE_S = 3600, 60
Row = tuple[str, Callable[[int], str]]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of the page."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(value: float) -> str:
    """A number with three digits that count, as far as it has them."""
    if value >= 100:  # noqa: PLR2004 (whole numbers from here on)
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def size(value: float) -> str:
    """Bytes in the unit that suits them."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004 (decimal units)
            return f"{figure(value)} {unit}"
        value /= 1000
    return f"{figure(value)} TB"


def span(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if seconds < 2 * _MINUTE_S:
        return f"{figure(seconds)} s"
    return f"{figure(seconds / _MINUTE_S)} min" if seconds < 2 * _HOUR_S else f"{figure(seconds / _HOUR_S)} h"


def million(boxes: int) -> str:
    """How a number of boxes is called."""
    return f"{boxes / 1e6:g} million" if boxes >= 1_000_000 else f"{boxes:,}"  # noqa: PLR2004


def requests(model: Model) -> str:
    """What boxes ask for, and what that costs."""
    rows = []
    for kind in LINES:
        mean = model.a_week(kind) / _WEEK_S
        busiest = model.requests(1, kind)
        rows.append(
            [
                kind,
                f"{model.a_week(kind):.3f}",
                f"{busiest / mean:.1f}",
                figure(1e7 * busiest),
                figure(model.cpu_us(kind)),
                figure(model.wire(kind)),
                f"{model.a_week(kind) * model.cpu_us(kind) / 1000:.2f}",
            ]
        )
    total = sum(model.a_week(kind) * model.cpu_us(kind) for kind in LINES) / 1000
    rows.append(["all", "", "", figure(model.requests(10_000_000, *LINES)), "", "", f"{total:.2f}"])
    head = (
        "",
        "a box and week",
        "peak / mean",
        "a second at 10 million",
        "CPU µs",
        "bytes",
        "CPU ms a box and week",
    )
    return table(head, rows)


def needs(model: Model) -> str:
    """What installations of each size need."""
    rows: list[Row] = [
        ("requests of the named line a second, busiest hour", lambda n: figure(model.requests(n, *NAMED))),
        ("fragments a second, busiest hour", lambda n: figure(model.requests(n, "fragment"))),
        ("blind signatures a second, busiest hour", lambda n: figure(model.signatures(n))),
        ("cores: named line", lambda n: figure(model.cores(n, *NAMED))),
        ("cores: of these for signatures", lambda n: figure(_signing(model, n))),
        ("cores: anonymous line", lambda n: figure(model.cores(n, "fragment"))),
        ("cores: TLS of the named line", lambda n: figure(model.front(n))),
        ("nodes of 8 cores", lambda n: figure(model.nodes(n))),
        ("Mbit/s, named line", lambda n: figure(model.mbit(n, *NAMED))),
        ("Mbit/s, of these the catalogue", lambda n: figure(model.mbit(n, "catalogue"))),
        ("Mbit/s, anonymous line", lambda n: figure(model.mbit(n, "fragment"))),
        ("billing's database after a year", lambda n: size(model.billing(n, 52))),
        ("of these what was signed lately", lambda n: size(model.tokens(n))),
        ("nonces at a week's close", lambda n: size(model.nonces(n))),
        ("analytics, kept of a year", lambda _: size(model.kept(52))),
        ("a month's bills", lambda n: figure(model.bills(n))),
        ("a month's export, JSON Lines", lambda n: size(model.export(n))),
    ]
    return _by_size(rows)


def _signing(model: Model, boxes: int) -> float:
    """Cores for the signatures alone."""
    share = model.quota * model.measured.cpu_us["signature"] / model.cpu_us("tokens")
    return share * model.cores(boxes, "tokens")


def jobs(model: Model) -> str:
    """How long one process works at what is done for everybody at once."""
    rows: list[Row] = [
        ("raising a month's bills", lambda n: span(model.job("an account's bill", model.bills(n)))),
        ("closing a month's export", lambda n: span(model.job("an entry of an export", model.entries(n)))),
        ("drawing a release, profile small", lambda _: span(model.job("a release", 1))),
        ("drawing reporting boxes", lambda n: span(model.job("drawing a reporting box", model.accounts(n)))),
        ("box totals", lambda n: span(model.job("an account in the totals", model.accounts(n)))),
        (
            "forgetting a week's tokens",
            lambda n: span(model.job("forgetting a signed token", model.granted(n) * model.quota)),
        ),
        (
            "forgetting a week's nonces",
            lambda n: span(model.job("forgetting a nonce", n * model.a_week("fragment"))),
        ),
    ]
    return _by_size(rows)


def disk(model: Model) -> str:
    """Billing's database by week."""
    rows: list[Row] = [(f"week {week}", lambda n, week=week: size(model.billing(n, week))) for week in WEEKS]
    return _by_size(rows)


def profiles(model: Model) -> str:
    """What the profile changes, at a million boxes."""
    boxes, models = 1_000_000, [replace(model, name=name) for name in profile_names()]
    rows = [
        ["for how many accounts", *(_accounts(one.name) for one in models)],
        ["tokens of an account and week", *(figure(one.quota) for one in models)],
        ["blind signatures a second, busiest hour", *(figure(one.signatures(boxes)) for one in models)],
        ["cores for tokens, busiest hour", *(figure(one.cores(boxes, "tokens")) for one in models)],
        ["fragments a second, busiest hour", *(figure(one.requests(boxes, "fragment")) for one in models)],
        ["cores for fragments", *(figure(one.cores(boxes, "fragment")) for one in models)],
        ["what was signed lately", *(size(one.tokens(boxes)) for one in models)],
        ["nonces at a week's close", *(size(one.nonces(boxes)) for one in models)],
        ["kept of a released week", *(size(one.kept(1)) for one in models)],
    ]
    return table(["a million boxes", *(one.name for one in models)], rows)


def _accounts(name: str) -> str:
    taken = profile(name)
    return f"{taken.min_accounts:,} to {taken.max_accounts:,}"


def limits(model: Model) -> str:
    """How far one process goes."""
    rows = [
        ["named line, one worker", figure(model.one_process(*NAMED))],
        ["anonymous line, one gateway", figure(model.one_process("fragment"))],
    ]
    return table(["one core, 60 % busy in the busiest hour", "boxes"], rows)


def storm(evening: Sequence[int], outage: Sequence[int], first: int, last: int) -> str:
    """What an outage of an hour does; `first` and `last` are its bins."""
    before = max(evening)
    after = outage[last : last + 12]
    rows = [
        ["busiest five minutes of the evening, usually", "1"],
        [
            "attempts while nobody answers, their busiest five minutes",
            f"{max(outage[first:last]) / before:.2f}",
        ],
        ["the first five minutes after", f"{after[0] / before:.2f}"],
        ["the busiest five minutes of the hour after", f"{max(after) / before:.2f}"],
    ]
    return table(["requests of the named line", "times"], rows)


def growth(found: Sequence[Cost], sizes: Sequence[Size], names: Sequence[str]) -> str:
    """Cost of a unit beside the smallest size."""
    ratios = {(one.unit, one.size): one for one in found}
    units = list(dict.fromkeys(one.unit for one in found))
    rows = []
    for unit in units:
        least = ratios[unit, sizes[0]].cpu_us
        rows.append([unit, figure(least), *(f"{ratios[unit, one].ratio:.2f}" for one in sizes[1:])])
    return table(["", f"CPU µs at {names[0]}", *names[1:]], rows)


def _by_size(rows: Sequence[Row]) -> str:
    return table(
        ["", *(f"{million(boxes)}" for boxes in SIZES)],
        [[name, *(tell(boxes) for boxes in SIZES)] for name, tell in rows],
    )


def postgresql(found: Found) -> str:
    """What an order and a fragment cost on PostgreSQL, at one node and at two that have a quota."""
    rows = []
    for pair in found.pairs:
        for nodes, rate in (("one", pair.one), ("two", pair.two)):
            of = f"{pair.part:g} each" if pair.part else "all"
            rows.append([pair.kind, nodes, of, *map(figure, (rate.node_us, rate.database_us))])
    return table(["", "nodes", "cores", "CPU µs, node", "CPU µs, PostgreSQL"], rows)


def postgresql_rows(found: Found) -> str:
    """Bytes of what an order leaves in PostgreSQL, and of a fragment's nonce."""
    billing, analytics = found.sizes["billing"], found.sizes["analytics"]
    of_order = {name: billing[name] for name in ("chain", "orders", "annex", "entries")}
    nonces = next(size for name, size in analytics.items() if name.startswith("spent"))
    rows = [[f"`{name}`", figure(one.row_bytes), figure(one.whole_bytes)] for name, one in of_order.items()]
    sums = [sum(getattr(one, which) for one in of_order.values()) for which in ("row_bytes", "whole_bytes")]
    rows += [["an order that is paid", *map(figure, sums)]]
    rows += [["`spent`, a fragment", figure(nonces.row_bytes), figure(nonces.whole_bytes)]]
    return table(["", "bytes a row", "with indexes"], rows)
