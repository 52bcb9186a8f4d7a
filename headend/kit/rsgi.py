"""What is used of RSGI 1.6, granian's own interface between a server and an application.

Source: granian's documentation, "RSGI specification".
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol


class Headers(Protocol):
    """A request's header fields."""

    def get(self, name: str) -> str | None:
        """A field's value."""

    def items(self) -> list[tuple[str, str]]:
        """All fields."""


class Scope(Protocol):
    """What RSGI tells of a request before its body."""

    method: str
    path: str
    query_string: str
    scheme: str
    client: str
    server: str
    http_version: str
    headers: Headers


class Exchange(Protocol):
    """RSGI's way to the body and back."""

    def __call__(self) -> Awaitable[bytes]:
        """The whole body."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Any:  # noqa: ANN401 (granian's own)
        """Answer piece by piece."""


class Loop(Protocol):
    """What is needed of the event loop that granian hands over; nothing here can open a connection."""

    def create_future(self) -> Any:  # noqa: ANN401 (a future of whatever it will hold)
        """Something to wait for."""

    def create_task(self, work: Any) -> Any:  # noqa: ANN401 (a coroutine)
        """Work beside the rest."""

    def call_soon(self, act: Callable[[], object]) -> object:
        """Act at the next turn."""

    def call_later(self, delay: float, act: Callable[[], object]) -> object:
        """Act after some seconds."""

    def call_soon_threadsafe(self, act: Callable[..., object], *args: object) -> object:
        """Act at the next turn, whichever thread asks."""

    def run_in_executor(self, pool: Any, act: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 (likewise)
        """Act in a thread, and give what can be waited for."""
