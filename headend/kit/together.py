"""Work that many threads ask for and one of them does, all that is waiting at once.

A commit costs the same for one piece of work as for fifty, and opening seals or checking tokens is short
work that threads side by side mostly spend on handing the interpreter's lock to each other. So whoever
comes first does the first group; what arrives meanwhile waits, and one of those who wait does the next.
There is no thread in between, because waking one is what costs most.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from headend.kit.metering import GroupMeter
from shared.errors import StbError
from shared.system_clock import SystemClock

A = TypeVar("A")
B = TypeVar("B")


class ClosedError(StbError):
    """Nothing is taken any more."""


class _Asked(Generic[A, B]):
    """One item, and the lock on which the one who asked sleeps."""

    __slots__ = ("answer", "asleep", "item", "since")

    def __init__(self, item: A, since: float) -> None:
        self.item = item
        self.since = since
        self.answer: B | BaseException | None = None
        self.asleep = threading.Lock()
        self.asleep.acquire()


class Together(Generic[A, B]):
    """Answers each item by what `do` gives for it; `do` gets a group, and gives as many answers in order.

    An answer that is an exception is raised to the one who asked. If `do` itself raises, everybody in the
    group gets that. A group has at most `limit` items; more would only make the first of them wait longer.
    A `meter` is told of every group.
    """

    def __init__(
        self,
        do: Callable[[list[A]], Sequence[B | Exception]],
        limit: int,
        meter: GroupMeter | None = None,
    ) -> None:
        self._do = do
        self._limit = limit
        self._meter = meter
        self._seconds = SystemClock().monotonic
        self._waiting: deque[_Asked[A, B]] = deque()
        self._busy = False
        self._closed = False
        self._idle = threading.Condition(threading.Lock())

    def ask(self, item: A) -> B:
        """Wait for the item's answer.

        Raises:
            ClosedError: it was closed before.
            Exception: the item's own answer, or what the whole group met.
        """
        mine: _Asked[A, B] = _Asked(item, self._seconds())
        with self._idle:
            if self._closed:
                raise ClosedError("closed")
            self._waiting.append(mine)
            first, self._busy = not self._busy, True
        if not first:
            mine.asleep.acquire()
        if mine.answer is None:  # woken to do the next group, which begins with this item
            self._do_group()
        if isinstance(mine.answer, BaseException):
            raise mine.answer
        assert mine.answer is not None  # noqa: S101 (a group answers all of its items)
        return mine.answer

    def close(self) -> None:
        """Answer what is waiting, then take nothing more."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: not self._busy)

    def _do_group(self) -> None:
        with self._idle:
            group = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
        begun = self._seconds()
        answers: Sequence[B | BaseException]
        try:
            answers = self._do([one.item for one in group])
        except BaseException as error:  # noqa: BLE001 (whatever it is, it reaches those who wait, and the next go on)
            answers = [error] * len(group)
        for one, answer in zip(group, answers, strict=True):
            one.answer = answer
        self._pass_on()
        if self._meter is not None:
            self._meter.done(len(group), begun - group[0].since, self._seconds() - begun)
        for one in group[1:]:
            one.asleep.release()

    def _pass_on(self) -> None:
        with self._idle:
            if self._waiting:
                self._waiting[0].asleep.release()
            else:
                self._busy = False
                self._idle.notify_all()
