"""Billing's books, and the audits: do they close, do their chains hold, what waits for a person."""

from collections import Counter

from headend.billing.reconcile import reconcile, recounted
from headend.doctor.findings import Answer, broken, fine, warning
from headend.doctor.patient import Patient, Row
from headend.kit import chain

TAIL = 500
"""Lines of an audit that are followed where not all are."""
RECENT_MS = 24 * 3_600_000
AUDITS = {
    "billing": "SELECT line, at_ms, who, what, ref, detail, hash FROM audit",
    "console": "SELECT line, at_ms, operator, action, what, detail, about, hash FROM audit",
}
"""What a line's hash is made of and the hash itself, at each side that chains an audit."""


def closes(patient: Patient) -> Answer:
    """Every order stands somewhere, and the ledger agrees with the orders to the cent."""
    found = reconcile(patient.look("billing").billing())
    if not found.closes:
        return broken(
            "the books do not close", f"headend reconcile {patient.folder}; nothing is billed by hand"
        )
    return fine(f"the books close over {found.received} orders and {found.entries} entries")


def sums(patient: Patient) -> Answer:
    """The running sums are those of a recount of all orders and entries."""
    if not patient.thorough:
        return fine("running sums were not recounted (--thorough does)")
    if faults := recounted(patient.look("billing").billing()):
        return broken(f"a running sum is wrong: {faults[0]}", "restore the newest backup, and keep this file")
    return fine("the running sums agree with a recount")


def suspense(patient: Patient) -> Answer:
    """No authentic order waits for a person."""
    waiting = patient.rows("billing", "SELECT sum(orders) FROM order_sums WHERE state = 'suspended'")[0][0]
    if waiting:
        return warning(
            f"{waiting} orders wait in suspense", f"headend order list {patient.folder} --state suspended"
        )
    return fine("no order waits in suspense")


def gaps(patient: Patient) -> Answer:
    """Nothing that a box told of is missing."""
    missing = patient.rows("billing", "SELECT count(*) FROM epochs WHERE gap_ms > 0")[0][0]
    if missing:
        return warning(
            f"{missing} boxes told of what is not here", f"headend reconcile {patient.folder} --by box"
        )
    return fine("nothing that boxes told of is missing")


def alarms(patient: Patient) -> Answer:
    """No box has raised suspicion since yesterday."""
    since = patient.now_ms - RECENT_MS
    rows = patient.rows("billing", "SELECT raised_ms, kind FROM alarms ORDER BY raised_ms DESC LIMIT 1000")
    kinds = Counter(kind for raised_ms, kind in rows if raised_ms >= since)
    if kinds:
        told = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
        return warning(f"alarms of the last day: {told}", "look at them in the console: Boxes, Alarms")
    return fine("no alarm in the last day")


def audit(patient: Patient, side: str) -> Answer:
    """The audit's lines hang together by their hashes: the newest, or thoroughly all."""
    rows = _lines(patient, side)
    wrong = _first_wrong(rows, whole=patient.thorough or len(rows) < TAIL)
    if wrong is not None:
        return broken(
            f"line {wrong} of {side}'s audit was changed, taken away or slipped in",
            f"headend audit verify {patient.folder}; compare with the backups",
        )
    return fine(f"{len(rows)} lines of {side}'s audit hang together")


def _first_wrong(rows: list[Row], *, whole: bool) -> int | None:
    """The number of the first line that does not follow; of a tail the first line is believed."""
    number, before = 0, chain.GENESIS
    if not whole:
        number, before = rows[0][0], rows[0][-1]
        rows = rows[1:]
    for row in rows:
        number += 1
        if row[0] != number or row[-1] != chain.link(before, row[:-1]):
            return number
        before = row[-1]
    return None


def _lines(patient: Patient, side: str) -> list[Row]:
    if patient.thorough:
        return patient.rows(side, f"{AUDITS[side]} ORDER BY line")
    return patient.rows(side, f"{AUDITS[side]} ORDER BY line DESC LIMIT {TAIL}")[::-1]
