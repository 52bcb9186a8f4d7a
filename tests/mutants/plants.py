"""Bugs that others have made, or that could be made here, as small changes of the source.

Each names the tests that have to fail with it.
"""

from dataclasses import dataclass

BILLING = "headend/billing"
TESTS = "tests/headend/billing"
MACHINE = f"{TESTS}/test_machine.py"
KILL = "tests/campaigns/test_kill.py"
_STEPS = '("RELEASE work", "COMMIT", "BEGIN IMMEDIATE", "SAVEPOINT work")'
COMMITTED = f"for step in {_STEPS}:\n            {{db}}.execute(step)\n"
"""What was done so far is committed by itself, before the rest of its transaction."""


@dataclass(frozen=True)
class Change:
    """In one file, one text for another; the old one stands there exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A planted bug, and the tests that catch it."""

    name: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]


def single(name: str, place: str, old: str, new: str, *tests: str) -> Mutant:
    """A bug of one change."""
    return Mutant(name, (Change(place, old, new),), tests)


MUTANTS = (
    single(
        "the identity is claimed before the order is written",
        f"{BILLING}/orders.py",
        "    tx.add_link(link, effective)\n",
        "    tx.add_link(link, effective)\n    " + COMMITTED.format(db="tx._db"),
        MACHINE,
    ),
    single(
        "an answer comes before its commit",
        "headend/kit/storage.py",
        "            with immediate(self._writer):\n"
        "                return [self._told(_do(self._writer, work)) for work in group]\n",
        "            if self._writer.in_transaction:\n"
        '                self._writer.execute("COMMIT")\n'
        '            self._writer.execute("BEGIN IMMEDIATE")\n'
        "            return [self._told(_do(self._writer, work)) for work in group]\n",
        f"{KILL}::test_an_order_is_acknowledged_after_its_commit",
    ),
    single(
        "a commit is not synced",
        "headend/kit/storage.py",
        '"synchronous=FULL"',
        '"synchronous=NORMAL"',
        f"{KILL}::test_the_writing_connections_sync_before_they_answer",
    ),
    single(
        "a file is renamed before it is synced",
        "headend/kit/files.py",
        "        os.fsync(file.fileno())\n",
        "",
        f"{KILL}::test_a_batch_s_files_are_synced_then_renamed_then_their_folder_is_synced",
    ),
    single(
        "closing a batch skips the last row",
        f"{BILLING}/exports.py",
        "    first, newest = open_tail.first_entry, open_tail.last_entry\n",
        "    first = open_tail.first_entry\n    newest = max(first, open_tail.last_entry - 1)\n",
        MACHINE,
    ),
    single(
        "the rows of a batch come in no order",
        f"{BILLING}/sql_books.py",
        'BETWEEN ? AND ? ORDER BY entry"\n        return self._stream',
        'BETWEEN ? AND ? ORDER BY hash"\n        return self._stream',
        MACHINE,
    ),
    Mutant(
        "the time is part of the identity: a retry bills twice",
        (
            Change(f"{BILLING}/schema.py", "entries_once ON entries (ref, kind)", "e ON entries (ref, hash)"),
            Change(
                f"{BILLING}/orders.py",
                "    if stored is not None and stored.hash == one.hash:\n",
                "    if stored is not None and stored.hash == one.hash:\n"
                "        from headend.billing.charging import post_usage\n"
                "        row = tx.order(one.head.box, one.head.epoch, one.head.seq)\n"
                "        if row is not None and row.state == 'rated' and stored.received_ms != now_ms:\n"
                "            post_usage(tx, row, stored, now_ms)\n",
            ),
        ),
        (MACHINE,),
    ),
    single(
        "a retry is answered as a conflict",
        f"{BILLING}/orders.py",
        "if stored is not None and stored.hash == one.hash:",
        "if stored is not None and stored.hash != one.hash:",
        f"{TESTS}/test_orders.py",
    ),
    single(
        "what cannot be read blocks the chain",
        f"{BILLING}/messages.py",
        "        return read_chained(payload)\n    except UnreadableMessageError:\n        return None\n",
        "        return read_chained(payload)\n    except UnreadableMessageError:\n        raise\n",
        f"{TESTS}/test_orders.py",
    ),
    single(
        "a gap is ignored",
        f"{BILLING}/orders.py",
        "        tx.tell(head.box, head.epoch, head.seq, now_ms)\n        return tip\n",
        "        return tip\n",
        f"{TESTS}/test_orders.py",
    ),
    single(
        "what came after a gap is stored",
        f"{BILLING}/orders.py",
        "    if head.seq > tip.seq + 1:\n",
        "    if head.seq > tip.seq + 2:\n",
        f"{TESTS}/test_orders.py",
    ),
    single(
        "the second message under one identity is billed too",
        f"{BILLING}/orders.py",
        '    _alarm(tx, "equivocation", one, now_ms)\n',
        '    _alarm(tx, "equivocation", one, now_ms)\n'
        "    from headend.billing import ledger\n"
        "    said = readable(one.payload)\n"
        "    if isinstance(said, Order):\n"
        "        terms = ('usage', 'acc-1', one.hash, '2026-10', '', 'EUR', 2100, '', now_ms)\n"
        "        tx.post(ledger.Draft(*terms, ledger.usage(said.price_cents)))\n",
        MACHINE,
    ),
    single(
        "a second message under one identity raises no alarm",
        f"{BILLING}/orders.py",
        '    _alarm(tx, "equivocation", one, now_ms)\n',
        "",
        f"{TESTS}/test_orders.py",
    ),
    single(
        "months are cut in UTC",
        f"{BILLING}/invoices.py",
        "end_ms = to_ms(month.end(zone))",
        'end_ms = to_ms(month.end(ZoneInfo("UTC")))',
        f"{TESTS}/test_invoices.py",
    ),
    single(
        "months are cut by naive local time",
        "shared/weeks.py",
        "return datetime(self.year, self.number, 1, tzinfo=zone).astimezone(UTC)",
        "return datetime(self.year, self.number, 1, tzinfo=UTC) - timedelta(hours=1)",
        "tests/shared/test_weeks.py",
        f"{TESTS}/test_invoices.py",
    ),
    single(
        "VAT is taken over each line",
        f"{BILLING}/invoices.py",
        "    return [vat_group(cents, rate) for rate, cents in sorted(gross.items())]\n",
        "    each = [vat_group(line.cents, line.vat_bp) for line in lines]\n"
        "    return [VatGroup(rate, cents, *(sum(getattr(one, part) for one in each if one.rate_bp == rate)\n"
        "            for part in ('net', 'vat', 'rounding'))) for rate, cents in sorted(gross.items())]\n",
        MACHINE,
    ),
    single(
        "late usage is dropped",
        f"{BILLING}/sql.py",
        'orders_due WHERE account = ? AND effective_ms < ? "\n',
        'orders_due WHERE account = ?1 AND effective_ms < ?2 AND effective_ms >= ?2 - 2764800000 "\n',
        f"{TESTS}/test_invoices.py",
    ),
    single(
        "a month is billed again",
        f"{BILLING}/invoices.py",
        "    if tx.bill_of(name, str(month)) is not None:\n        return 0\n",
        "",
        MACHINE,
    ),
    single(
        "a number is taken outside the transaction",
        f"{BILLING}/sql_books.py",
        '        sql = "SELECT last FROM numbers WHERE series = ? AND year = ?"\n',
        "        "
        + COMMITTED.format(db="self._db")
        + '        sql = "SELECT last FROM numbers WHERE series = ? AND year = ?"\n',
        f"{TESTS}/test_invoices.py::test_numbers_have_no_gap_where_a_bill_fails",
    ),
    single(
        "a credit may be one cent over",
        f"{BILLING}/credits.py",
        "if not 0 < cents <= left[ref]:",
        "if not 0 < cents <= left[ref] + 1:",
        f"{TESTS}/test_credits.py",
        MACHINE,
    ),
    single(
        "the window's end is inclusive",
        f"{BILLING}/sql.py",
        "window_until_ms > ?",
        "window_until_ms >= ?",
        f"{TESTS}/test_orders.py",
    ),
    single(
        "an order that was readmitted ignores an open window",
        f"{BILLING}/charging.py",
        "    decided = _decided(tx, row, offer)\n    tx.set_order(decided)\n",
        "    decided = replace(row, state=OrderState.RATED)\n    tx.set_order(decided)\n",
        f"{TESTS}/test_suspense.py",
        MACHINE,
    ),
    single(
        "a promotion is not taken back with a failed delivery",
        f"{BILLING}/charging.py",
        "    if row.credit_cents:\n",
        "    if row.credit_cents and not back:\n",
        f"{TESTS}/test_promotions.py",
        MACHINE,
    ),
    single(
        "a promotion serves once more than it may",
        f"{BILLING}/rating.py",
        "terms.uses < promotion.per_account",
        "terms.uses <= promotion.per_account",
        f"{TESTS}/test_promotions.py",
        MACHINE,
    ),
    single(
        "a stop after the preview is free",
        f"{BILLING}/rating.py",
        "< offer.preview_minutes * MINUTE_MS",
        "<= offer.preview_minutes * MINUTE_MS",
        f"{TESTS}/test_promotions.py",
        MACHINE,
    ),
    single(
        "erasure forgets the envelope only",
        f"{BILLING}/erasure.py",
        "        if one.title:\n",
        "        if one.title and one.ref == who:\n",
        f"{TESTS}/test_erasure.py",
        MACHINE,
    ),
    single(
        "retention forgets a title that was bought",
        f"{BILLING}/periods.py",
        "annex.window_until_ms <= now_ms:",
        "annex.window_until_ms <= now_ms or annex.window_until_ms >= FOREVER_MS:",
        f"{TESTS}/test_retention.py",
        MACHINE,
    ),
    single(
        "a box takes orders for acknowledged before they are held",
        "box_agent/submission.py",
        '            answer = self._line.post("chain", batch.body)\n',
        '            self._door.write("UPDATE head SET acked = ?", (batch.last,))\n'
        '            answer = self._line.post("chain", batch.body)\n',
        "tests/box_agent/test_ordering.py",
    ),
    single(
        "a box writes an order in two transactions",
        "box_agent/ordering.py",
        "            return running or self._place(",
        "        if True:\n            return running or self._place(",
        f"{KILL}::test_an_order_is_whole_or_not_there_wherever_its_writing_is_cut_off",
    ),
)
