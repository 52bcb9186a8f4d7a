"""A box whose agent is a process of its own, spoken to over its socket, and killed without warning."""

import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from typing import Any

import msgspec

from box_agent.client import AgentAwayError, AgentClient
from box_agent.consent import Answer
from box_agent.events import Event, as_told
from box_agent.ordering import PromotionUse
from box_agent.settings import BoxSettings
from headend.kit.process import die_with_parent
from shared.errors import StbError
from shared.named import Evidence

START_SECONDS = 20.0
PIN = "2580"
PAUSE = 0.02


class AgentGoneError(StbError):
    """The agent's process died before it answered."""


class AgentRefusedError(StbError):
    """The agent refused; `name` is the refusal's."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name


class RemoteAgent:
    """`box-agent run` with the same face as `box_agent.app.Agent`, as far as the fleet looks at it."""

    def __init__(self, settings: BoxSettings) -> None:
        self._settings = settings
        self._config = settings.state() / "box.toml"
        settings.state().mkdir(parents=True, exist_ok=True)
        self._config.write_text(_toml(settings))
        self.kills = 0
        self._process = self._start()

    def report(self, event: Event) -> bool:
        """See `Agent.report`; what the agent's death or start swallows is lost, as on a real box."""
        try:
            if not self._ready():
                return False
            return bool(self._ask({"op": "event", "event": as_told(event)})["kept"])
        except AgentGoneError:
            self.restart()
            return False

    def place_order(self, offer: str, evidence: Evidence, promotion: str | None = None) -> dict[str, Any]:
        """See `Agent.place_order`."""
        return dict(self._ask(_order(offer, evidence, promotion)))

    def report_delivery(self, order_seq: int, outcome: str) -> int:
        """See `Agent.report_delivery`."""
        return int(self._ask({"op": "delivery", "order": order_seq, "outcome": outcome})["seq"])

    def set_consent(self, *, granted: bool, notice: int, how: str) -> Answer:
        """See `Agent.set_consent`."""
        found = self._ask({"op": "set-consent", "granted": granted, "notice": notice, "how": how})
        return Answer(**found)

    def enrol(self, code: str) -> object:
        """See `Agent.enrol`."""
        return self._ask({"op": "enrol", "code": code})

    def orders(self) -> list[dict[str, Any]]:
        """See `Agent.orders`."""
        return list(self._ask({"op": "orders"}))

    def promotions(self) -> list[PromotionUse]:
        """See `Agent.promotions`."""
        return msgspec.convert(self._ask({"op": "promotions"}), list[PromotionUse])

    def sent(self) -> list[dict[str, Any]]:
        """See `Agent.sent`; over the socket it opens to the household's PIN only."""
        self._ask({"op": "set-pin", "new": PIN, "old": PIN})
        return list(self._ask({"op": "sent", "pin": PIN}))

    def tick(self) -> None:
        """See `Agent.tick`; one that is still starting ticks by itself soon enough."""
        if self._ready():
            self._ask({"op": "tick"})

    def next_due(self) -> datetime | None:
        """Never: the fleet ticks a process of its own at every step."""
        return None

    def kill(self) -> None:
        """SIGKILL, whatever it is doing."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.kills += 1

    def restart(self) -> None:
        """Start it again on what its store holds; does not wait until it listens."""
        if self._process.poll() is None:
            self.kill()
        self._process = self._start()

    def kill_in_mid_order(self, offer: str, evidence: Evidence, promotion: str | None) -> None:
        """Ask for an order and kill the agent without waiting for its answer; then start it again."""
        import socket  # noqa: PLC0415 (this one act needs it)

        request = _order(offer, evidence, promotion)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(self._settings.socket()))
            connection.sendall(msgspec.json.encode(request) + b"\n")
            time.sleep(int.from_bytes(os.urandom(1), "big") / 256 * 0.01)
            self.kill()
        self.restart()

    def close(self) -> None:
        """Stop it as a service manager would."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def _ask(self, request: dict[str, Any]) -> Any:  # noqa: ANN401 (whatever the operation answers)
        self._wait_until_ready()
        try:
            with AgentClient(self._settings.socket()) as client:
                found = client.exchange(request)
        except AgentAwayError as error:
            raise AgentGoneError(str(error)) from error
        if not found["ok"]:
            raise AgentRefusedError(found["error"], found["detail"])
        return found["result"]

    def _start(self) -> "subprocess.Popen[bytes]":
        self._settings.socket().unlink(missing_ok=True)
        log = (self._settings.state() / "agent.log").open("ab")
        command = [sys.executable, "-m", "box_agent", "--config", str(self._config), "run"]
        process = subprocess.Popen(  # noqa: S603 (our own program)
            command,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 (one system call; this process has no other threads)
        )
        log.close()
        return process

    def _ready(self) -> bool:
        """Whether it listens."""
        if self._process.poll() is not None:
            raise AgentGoneError(f"the agent ended; see {self._settings.state() / 'agent.log'}")
        return self._settings.socket().exists()

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not self._ready():
            if time.monotonic() > until:
                raise AgentGoneError("the agent did not start")
            time.sleep(PAUSE)


def _order(offer: str, evidence: Evidence, promotion: str | None) -> dict[str, Any]:
    told = {"op": "order", "offer": offer, "evidence": msgspec.to_builtins(evidence)}
    return told if promotion is None else told | {"promotion": promotion}


def _toml(settings: BoxSettings) -> str:
    def text(value: object) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, int) else f'"{value}"'

    pairs = msgspec.structs.asdict(settings).items()
    return "".join(f"{name} = {text(value)}\n" for name, value in pairs if value is not None)
