"""Work that many threads ask for and one thread does, all that is waiting at once.

Opening seals and checking tokens is short work of the processor that lets go of the interpreter's lock again
and again. Threads that do it side by side mostly hand that lock to each other; one thread that takes what is
waiting, and commits it in one transaction, does about twice as many.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from shared.errors import StbError

A = TypeVar("A")
B = TypeVar("B")

GROUP_LIMIT = 128
"""Items in one group; more would only make the first of them wait longer."""


class ClosedError(StbError):
    """Nothing is taken any more."""


class Together(Generic[A, B]):
    """Answers each item by what `do` gives for it; `do` gets a group, and gives as many answers in order.

    An answer that is an exception is raised to the one who asked. If `do` itself raises, everybody in the
    group gets that.
    """

    def __init__(self, do: Callable[[list[A]], list[B | Exception]], name: str) -> None:
        self._do = do
        self._waiting: queue.SimpleQueue[tuple[A, Future[B]] | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        self._worker = threading.Thread(target=self._work, name=name, daemon=True)
        self._worker.start()

    def ask(self, item: A) -> B:
        """Wait for the item's answer.

        Raises:
            ClosedError: it was closed before.
            Exception: the item's own answer, or what the whole group met.
        """
        future: Future[B] = Future()
        with self._lock:  # so that nothing is put behind the end
            if self._closed:
                raise ClosedError("closed")
            self._waiting.put((item, future))
        return future.result()

    def close(self) -> None:
        """Answer what is waiting, then take nothing more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._waiting.put(None)
        self._worker.join()

    def _work(self) -> None:
        ended = False
        while not ended:
            group, ended = self._next_group()
            if group:
                self._answer(group)

    def _next_group(self) -> tuple[list[tuple[A, Future[B]]], bool]:
        group: list[tuple[A, Future[B]]] = []
        entry = self._waiting.get()
        while entry is not None:
            group.append(entry)
            if len(group) == GROUP_LIMIT:
                return group, False
            try:
                entry = self._waiting.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _answer(self, group: list[tuple[A, Future[B]]]) -> None:
        try:
            answers = self._do([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 (whatever it is, it reaches those who wait)
            answers = [error] * len(group)
        for (_, future), answer in zip(group, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
