"""Bugs of several nodes on one database, and of restoring, as small changes of the source."""

from tests.mutants.plants import Change, Mutant, single

KIT = "headend/kit/postgres.py"
WRITERS = "tests/contracts/test_writers.py"
NODES = "tests/headend/test_nodes.py"
TWO_NODES = "tests/journeys/test_two_nodes.py"
RELEASE = "tests/headend/analytics/test_release.py"

MUTANTS = (
    single(
        "a node acknowledges what it has not committed",
        KIT,
        '            said = raw.execute("COMMIT").statusmessage\n',
        '            said = raw.execute("COMMIT" if alone else "ROLLBACK").statusmessage and "COMMIT"\n',
        f"{NODES}::test_what_one_acknowledges_the_other_sees_at_once",
    ),
    single(
        "a commit whose answer was lost is repeated as if nothing had been done",
        KIT,
        "            raise StorageError("
        'f"the database went away while it was to commit: {error}") from error\n',
        "            raise\n",
        f"{WRITERS}::test_a_commit_whose_answer_is_lost_is_told_and_asking_again_does_not_double_it",
    ),
    Mutant(
        "counters are upserted as they come, in no order",
        (
            Change(
                "headend/analytics/postgres.py",
                "        if isinstance(connection, PostgresTransaction):\n",
                "        if not isinstance(connection, PostgresTransaction):\n",
            ),
            Change(
                "headend/analytics/postgres.py",
                "    cells = added_up(first)\n    if cells:\n"
                "        connection.execute(_ADD, [list(column) for column in zip(*cells, strict=True)])\n",
                "    for cell in sorted(added_up(first), key=lambda one: hash((first[0][1].nonce, one))):\n"
                "        connection.execute(_ADD, [[value] for value in cell])\n",
            ),
        ),
        (
            f"{WRITERS}::test_counters_of_overlapping_cells_add_up_from_many_threads_without_a_deadlock",
            f"{WRITERS}::test_a_group_is_one_statement_a_table_with_rows_in_the_order_of_their_key",
        ),
    ),
    single(
        "every node runs every job",
        KIT,
        "                yield bool(mine and mine[0])\n",
        "                yield True\n",
        f"{NODES}::test_while_one_has_the_turn_the_other_runs_nothing_and_takes_over_when_it_dies",
    ),
    Mutant(
        "nonces are pruned before their week has come to its end",
        (
            Change(
                "headend/analytics/side.py",
                "        if self.store.state(week) in {None, WeekState.OPEN}:\n"
                '            raise WeekNotDoneError(f"{week} has not come to its end")\n',
                "",
            ),
            Change(
                "headend/analytics/sql.py",
                "    if desk.state(week) in {None, WeekState.OPEN}:\n"
                '        raise WeekNotDoneError(f"week {week} is not done yet")\n',
                "",
            ),
        ),
        ("tests/headend/analytics/test_store.py::test_a_week_that_is_not_done_cannot_be_forgotten",),
    ),
    single(
        "a restored database draws its week again",
        "headend/analytics/release.py",
        "    found = archive.find(week)  # 3\n",
        "    found = None\n",
        f"{RELEASE}::test_after_a_restore_the_archived_release_is_taken_back_unchanged",
    ),
    single(
        "a restored headend signs a week's tokens again",
        "headend/cli/installation.py",
        '        if not stopped and "billing" in made.sides:\n',
        "        if False:\n",
        "tests/headend/test_backup.py::"
        "test_what_was_granted_after_a_backup_is_not_granted_again_unless_nothing_can_have_been",
    ),
    single(
        "a node keeps in its archive what it drew itself, and no other's",
        "headend/analytics/side.py",
        "        self.archive.keep_all(self.store)\n",
        "",
        f"{NODES}::test_a_release_that_one_drew_stands_in_the_others_archive",
    ),
    single(
        "box totals are drawn anew by the next node",
        "headend/app.py",
        "        if self.analytics.store.totals(Week.parse(slot.name)) is not None:\n",
        "        if False:\n",
        f"{NODES}::test_totals_that_a_dead_node_handed_over_are_not_drawn_anew",
    ),
    single(
        "two orders of an account are decided side by side",
        "headend/billing/postgres.py",
        'sql = f"SELECT {columns(Account)} FROM accounts WHERE account = ? {_LOCKED}"',
        'sql = f"SELECT {columns(Account)} FROM accounts WHERE account = ?"',
        f"{NODES}::test_two_boxes_of_a_household_that_order_the_same_film_at_two_nodes_pay_once",
    ),
    single(
        "keys stand in the database as they are",
        "headend/kit/shelf.py",
        "        return nonce + self._cipher().encrypt(nonce, key, name.encode())\n",
        "        return nonce + self._cipher().encrypt(nonce, key, name.encode()) + key\n",
        f"{NODES}::test_keys_in_the_database_are_sealed_and_open_with_the_installations_own_shelf_key_only",
    ),
    single(
        "a forgotten week's keys stay in another node's memory",
        "headend/billing/side.py",
        "            self.keys.let_go()\n",
        "            pass\n",
        f"{NODES}::test_a_week_that_one_forgets_is_forgotten_by_the_other",
    ),
)
