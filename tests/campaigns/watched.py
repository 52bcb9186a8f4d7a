"""What holds of billing whatever has happened, looked at after every step of the random life."""

from hashlib import sha256

from hypothesis.stateful import RuleBasedStateMachine, invariant

from headend.billing import checker
from tests.builders import CATALOGUE_KEY
from tests.campaigns import books
from tests.campaigns.model import overlaps
from tests.campaigns.world import World


class WatchedMachine(RuleBasedStateMachine):
    """A world, and what holds of it after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.model = self.world.model

    def teardown(self) -> None:
        try:
            self.every_batch_verifies()
        finally:
            self.world.close()

    def every_batch_verifies(self) -> None:
        """A receiver who has the public key alone takes every batch, to the last entry that was closed."""
        found, taken = checker.check_folder(self.world.exported, CATALOGUE_KEY.public_key(), checker.Taken())
        assert {one.verdict for one in found} <= {checker.Verdict.OK}
        batches = list(self.world.store.read().batches())
        assert len(found) == len(batches)
        assert taken.last_entry == (batches[-1].last_entry if batches else 0)

    # --- whatever has happened
    @invariant()
    def the_books_hold(self) -> None:
        books.check(self.world.store)

    @invariant()
    def every_order_stands_where_the_model_says(self) -> None:
        rows = self.world.db.execute("SELECT * FROM orders").fetchall()
        found = {
            f"{row['box']}/{row['epoch']}/{row['seq']}": (
                row["account"],
                row["state"],
                row["effective_ms"],
                row["price_cents"] - row["credit_cents"],
                row["credited_cents"],
            )
            for row in rows
        }
        assert found == {
            ref: (one.account, one.state, one.effective, one.payable, one.credited)
            for ref, one in self.model.charges.items()
        }

    @invariant()
    def titles_stand_where_they_may(self) -> None:
        rows = self.world.db.execute("SELECT box, epoch, seq FROM annex")
        assert {"/".join(map(str, row)) for row in rows} == {
            one.ref for one in self.model.charges.values() if one.titled
        }
        rows = self.world.db.execute(
            "SELECT box, epoch, seq FROM chain WHERE envelope IS NOT NULL AND kind <> 'delivery'"
        )
        assert {"/".join(map(str, row)) for row in rows} == {
            one.ref for one in self.model.charges.values() if one.signed
        }

    @invariant()
    def nobody_pays_twice_for_one_window(self) -> None:
        assert overlaps(list(self.model.charges.values())) == []

    @invariant()
    def each_account_owes_its_charges(self) -> None:
        rows = self.world.db.execute("SELECT account, sum(unbilled + receivable) FROM entries GROUP BY 1")
        owed = dict.fromkeys(self.model.subscribers, 0) | dict(map(tuple, rows))
        assert owed == self.model.owed()

    @invariant()
    def each_chain_is_what_was_accepted_and_gaps_are_known(self) -> None:
        ends = {(end.box, end.epoch): end for end in self.world.store.read().chain_ends()}
        assert set(ends) == set(self.model.chains)
        for place, chain in self.model.chains.items():
            end = ends[place]
            held = (end.last_seq, end.last_hash, end.last_ms, end.told_seq)
            assert held == (len(chain.kept), chain.last_hash, chain.last_ms, chain.told)

    @invariant()
    def what_was_said_twice_is_never_billed_and_always_alarmed(self) -> None:
        kinds = {"equivocation", "fork"}
        raised = {
            (one.kind, one.box, one.detail)
            for one in self.world.store.read().alarms(10_000)
            if one.kind in kinds
        }
        assert raised == self.model.alarms
        stored = {row[0] for row in self.world.db.execute("SELECT envelope_hash FROM chain")}
        assert not stored & {sha256(envelope).hexdigest() for envelope in self.model.never}

    @invariant()
    def bills_hold_the_orders_of_their_month_and_what_came_late(self) -> None:
        for bill in self.world.store.read().invoices(None, 1000):
            if bill.kind != "invoice":
                continue
            refs = self.model.bills[bill.account, bill.month]
            lines = [line for line in bill.lines if line.kind == "order"]
            assert sorted(line.order_ref for line in lines) == sorted(refs)
            start = self.model.subscribers[bill.account].month_start(bill.month)
            for line in lines:
                effective = self.model.charges[line.order_ref].effective
                assert (line.placed_ms, line.late) == (effective, effective < start)
