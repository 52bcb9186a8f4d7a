"""From prices that include VAT to the net amounts that EN 16931 asks of every line, exact to the cent.

A bill's VAT is taken over its VAT groups, never over a line; here each group's net is given back to the
lines, so that orders less promotions add up to it exactly. No tolerance is used anywhere.
"""

from collections import defaultdict

from headend.billing.documents.document import BadDocumentError, Document, InvoiceLine
from shared.money import BASIS_POINTS, VatGroup, round_half_up, spread

KINDS = ("invoice", "credit-note")


def check_sums(document: Document) -> None:
    """Refuse what does not add up, before anything is written.

    1. There is at least one line (EN 16931, BR-16). 2. An order costs nothing or something, a promotion takes
    something off or nothing. 3. A bill refers to nothing, a credit note to its bill. 4. Each rate has one
    group, and each group is the sum of its lines. 5. Each group is its net, its tax and its rounding.

    Raises:
        BadDocumentError: saying which of these does not hold.
    """
    _check_form(document)
    _check_groups(document)


def _check_form(document: Document) -> None:
    if document.kind not in KINDS:
        raise BadDocumentError(f"{document.number}: {document.kind!r} is neither invoice nor credit-note")
    if (document.kind == "invoice") != (document.refers_to is None):
        raise BadDocumentError(f"{document.number}: a credit note refers to its bill, a bill to nothing")
    if not document.lines:
        raise BadDocumentError(f"{document.number} has no lines")
    for line in document.lines:
        if line.cents > 0 if line.is_promotion else line.cents < 0:
            raise BadDocumentError(f"{document.number}: {line.kind} {line.order_ref} of {line.cents} cents")


def _check_groups(document: Document) -> None:
    gross: dict[int, int] = defaultdict(int)
    for line in document.lines:
        gross[line.vat_bp] += line.cents
    told = {group.rate_bp: group.gross for group in document.groups}
    if told != gross or len(told) != len(document.groups):
        raise BadDocumentError(f"{document.number}: VAT groups {told} do not fit lines of {dict(gross)}")
    for group in document.groups:
        if group.gross != group.net + group.vat + group.rounding:
            raise BadDocumentError(f"{document.number}: the group of {group.rate_bp} does not add up")


def line_nets(document: Document) -> list[int]:
    """The net cents of every line, in order; a promotion's is what it takes off, so not negative.

    Within each group: the orders' nets less the promotions' nets = the group's net. A promotion's net is its
    gross / (1 + r) (several of one group together, then by largest remainder); the rest is spread over the
    orders by largest remainder. Takes a document that `check_sums` lets through.

    Raises:
        BadDocumentError: a group's net is not nothing, and none of its lines costs anything.
    """
    nets = [0] * len(document.lines)
    for group in document.groups:
        places = [place for place, line in enumerate(document.lines) if line.vat_bp == group.rate_bp]
        for place, net in zip(places, _group_nets(group, [document.lines[at] for at in places]), strict=True):
            nets[place] = net
    return nets


def _group_nets(group: VatGroup, lines: list[InvoiceLine]) -> list[int]:
    orders = [0 if line.is_promotion else line.cents for line in lines]
    promotions = [-line.cents if line.is_promotion else 0 for line in lines]
    taken_off = round_half_up(sum(promotions) * BASIS_POINTS, BASIS_POINTS + group.rate_bp)
    # A net below nothing has no place on a line (BR-27). Where the orders of a rate cost nothing, or almost
    # nothing, the promotions are what the group's net is.
    ordered = max(0, group.net + taken_off) if any(orders) else 0
    taken_off = ordered - group.net
    if taken_off < 0 or (taken_off and not any(promotions)):
        raise BadDocumentError(f"a net of {group.net} at {group.rate_bp} has no line to stand on")
    parts = zip(spread(ordered, orders), spread(taken_off, promotions), strict=True)
    return [order + promotion for order, promotion in parts]
