"""Billing's audit as a chain: each line carries the hash of those before it."""

from headend.billing.rows import AuditLine
from headend.billing.store import BillingTx
from headend.kit import chain


def follow_audit(look: BillingTx) -> chain.Verdict:
    """What following billing's whole audit finds."""
    return chain.follow((one.line, one.hash, _values(one)) for one in look.audit_chain())


def _values(line: AuditLine) -> tuple[str | int, ...]:
    return tuple(value for name, value in vars(line).items() if name != "hash")
