"""This project's advisory locks on a database of PostgreSQL: who holds one, and until when.

All of them end with the transaction that took them, so that a pooler may stand between.
"""

from enum import IntEnum
from typing import Final

_OURS: Final = 0x53544254
"""The first key of all of them."""


class Lock(IntEnum):
    """What is locked, as its second key.

    WRITES: all writing, exclusively by work that is alone, together by work beside that of other nodes.
    ENDS: the ends of chains and the cells that all nodes add to, while a transaction is settled.
    JOBS: the turn to run jobs.
    SCHEMA: bringing the schema up to date.
    PARTS: making a week's parts.
    """

    WRITES = 1
    ENDS = 2
    JOBS = 3
    SCHEMA = 4
    PARTS = 5


def taking(lock: Lock, how: str = "pg_advisory_xact_lock") -> str:
    """The statement that takes a lock until the transaction ends; `how` is one of the server's functions.

    >>> taking(Lock.ENDS)
    'SELECT pg_advisory_xact_lock(1398030932, 2)'
    """
    return f"SELECT {how}({_OURS}, {lock.value})"
