"""After the load: everything acknowledged is there, once; nothing is counted twice; no gap is left."""

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus

from headend.app import open_headend
from headend.billing.reconcile import recounted
from shared.bhttp import decode_response
from shared.register import Kind
from tests.load.fleet import Fleet, Made
from tests.load.plan import Result

FULL = 16
"""What a timed fragment adds to its cell: k to `amount`, and 16 - k to `rest`."""


@dataclass(frozen=True)
class Books:
    """What was acknowledged beside what is there; `faults` are sentences, none if everything holds."""

    placed: int
    acknowledged: int
    stored: int
    rated: int
    zero_rated: int
    suspended: int
    fragments_accepted: int
    fragments_counted: int
    faults: tuple[str, ...]


class Clerk:
    """Keeps account of what has been acknowledged over several runs, and holds the databases against it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._placed = 0
        self._acked: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._empty: Counter[str] = Counter()

    def note(
        self, result: Result, boxes: list[str], fragments: dict[int, Made] | None = None, owed: int = 0
    ) -> None:
        """Take over what a run has seen: boxes in the order of its chains, fragments by number of asking."""
        self._placed += sum(result.placed) - owed  # what was owed has been placed before
        for box, acked in zip(boxes, result.acked, strict=True):
            self._acked[box] += acked
        answers = result.kinds["fragment"].answers if "fragment" in result.kinds else {}
        for number, answer in answers.items():
            made = (fragments or {})[number]
            if decode_response(made.sealed.context.open_response(answer)).status == HTTPStatus.OK:
                self._accepted[made.measure.name] += 1
                self._empty[made.measure.name] += made.empty

    def close(self) -> Books:
        """Read the databases, which nobody serves any more."""
        headend = open_headend(self._fleet.installation)
        assert headend.billing is not None
        assert headend.analytics is not None
        try:
            look = headend.billing.store.read()
            stood = headend.billing.reconciliation()
            faults = [] if stood.closes else [f"the books do not close: {stood}"]
            faults += recounted(look)
            ends = {end.box: end.last_seq for end in look.chain_ends()}
            stored = sum(ends.values())
            faults += self._chain_faults(ends, stood.received, stood.in_flight)
            accepted = {one.measure: one.count for one in headend.analytics.store.accepted()}
            faults += self._token_faults(accepted)
            counted = headend.analytics.store.at_release_desk(
                lambda desk: desk.counters(self._fleet.last_week)
            )
            sums: Counter[str] = Counter()
            for cell in counted:
                sums[cell.measure] += cell.amount + cell.rest
            faults += self._counter_faults(sums)
        finally:
            headend.close()
        return Books(
            placed=self._placed,
            acknowledged=sum(self._acked.values()),
            stored=stored,
            rated=stood.not_yet_due,
            zero_rated=stood.zero_rated,
            suspended=stood.suspended,
            fragments_accepted=sum(self._accepted.values()),
            fragments_counted=sum(accepted.values()),
            faults=tuple(faults),
        )

    def _chain_faults(self, ends: dict[str, int], received: int, in_flight: int) -> list[str]:
        lost = [box for box, acked in self._acked.items() if ends.get(box, 0) < acked]
        # A submission whose answer nobody waited for may be stored and not acknowledged: sent again, it was.
        more = [box for box, last in ends.items() if last > self._acked[box]]
        faults = [f"{len(lost)} boxes were acknowledged more than is stored"] if lost else []
        faults += [f"{len(more)} boxes have more stored than was acknowledged"] if more else []
        faults += [f"{in_flight} positions are missing"] if in_flight else []
        faults += [] if received == sum(ends.values()) else [f"{received} orders of {sum(ends.values())}"]
        waiting = self._placed - sum(self._acked.values())
        return faults + ([f"{waiting} orders are not acknowledged yet"] if waiting else [])

    def _token_faults(self, accepted: dict[str, int]) -> list[str]:
        return [
            f"{name}: {self._accepted[name]} fragments answered well, {accepted.get(name, 0)} tokens accepted"
            for name in sorted(self._accepted.keys() | accepted.keys())
            if self._accepted[name] != accepted.get(name, 0)
        ]

    def _counter_faults(self, sums: Counter[str]) -> list[str]:
        each = {
            one.measure.name: FULL if one.measure.kind is Kind.TIMED else 1 for one in self._fleet.fragments
        }
        return [
            f"{name}: cells add up to {sums[name]}, accepted less none to {wanted}"
            for name, accepted in self._accepted.items()
            if sums[name] != (wanted := (accepted - self._empty[name]) * each[name])
        ]


def told(books: Books) -> str:
    """The books as they are printed."""
    lines = [
        f"  orders placed {books.placed:,}, acknowledged {books.acknowledged:,}, stored {books.stored:,}",
        f"  rated {books.rated:,}, zero-rated {books.zero_rated:,}, suspended {books.suspended:,}",
        f"  fragments answered {books.fragments_accepted:,}, tokens accepted {books.fragments_counted:,}",
    ]
    verdict = [f"  NOT: {fault}" for fault in books.faults] or ["  everything acknowledged is there, once"]
    return "\n".join([*lines, *verdict])
