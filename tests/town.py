"""A town for the whole session, and a bare installation: real processes, real HTTP, simulated time."""

import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from shared.system_clock import ClockSteerer
from simulator.processes import Headend, RelayProcess, wait_until
from simulator.report import Report
from simulator.world import Setup, World

HOUSEHOLDS = 860
# Large enough that the noise cannot withhold a week's shares: about 490 boxes report, 355 are needed.
SEED = 41
START = datetime(2026, 10, 2, 12, tzinfo=UTC)


class Played:
    """What a play left behind; headend and relay still run."""

    def __init__(self, world, outcome, keys):
        self.world = world
        self.outcome = outcome
        self.keys = keys
        self.folder = outcome.headend.folder
        self.tape = world.setup.folder / "anonymous-line.bin"
        self.report = Report(outcome)
        self.books = self.report.books
        self.invariants = {one.sentence: one for one in self.report.invariants}

    def stop(self):
        self.world.stop()


def play(folder: Path) -> Played:
    memory = Path("/dev/shm")  # noqa: S108 (a private folder is made in it)
    boxes = Path(tempfile.mkdtemp(prefix="stb-boxes-", dir=memory if memory.is_dir() else None))
    setup = Setup(
        folder=folder / "play",
        boxes_folder=boxes,
        seed=SEED,
        households=HOUSEHOLDS,
        weeks=1,
        remotes=2,
        record=True,
    )
    keys = folder / "keys"
    keys.mkdir()

    def keep_keys(*_):
        # What opens the recorded requests is destroyed with its week; the searching test still needs it.
        for key in (world.headend.folder / "keys" / "analytics").glob("ohttp-*.key"):
            if not (keys / key.name).exists():
                shutil.copy(key, keys)

    world = World(setup, keep_keys)
    try:
        return Played(world, world.play(), keys)
    except BaseException:
        world.stop()
        raise


class Installed:
    """`headend init`, `headend serve` and the relay, with a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.clock_file = folder / "clock"
        self._steerer = ClockSteerer(self.clock_file, START)
        self.headend = Headend(folder / "headend")
        self.folder = str(self.headend.folder)
        self.headend.command("init", self.folder, "--simulated", "--clock", str(self.clock_file))
        self.headend.start()
        self.relay = RelayProcess(self.headend.url)
        self.relay.start()

    def code(self, account: str) -> str:
        """Add an account and make a code for a box of it."""
        self.headend.command("account", "add", self.folder, account)
        made = json.loads(self.headend.command("account", "code", self.folder, account, "--json"))
        return made[account][0]

    def move_to(self, instant: datetime) -> None:
        """Move time, and wait until every job that is due then is done."""
        target = int(instant.timestamp() * 1000)
        while (due := self.headend.readiness()["next_job_due_ms"]) <= target:
            self._steerer.set(datetime.fromtimestamp(due / 1000, UTC))
            wait_until(lambda due=due: self.headend.readiness()["next_job_due_ms"] > due, "a job")
        self._steerer.set(instant)

    def pins(self) -> dict[str, str]:
        """What a box of this installation pins."""
        text = self.headend.command(
            "box-settings", self.folder, "--headend-url", self.headend.url, "--relay-url", self.relay.url
        )
        pairs = (line.partition(" = ") for line in text.splitlines())
        return {name: value.strip('"') for name, _, value in pairs}

    def stop(self) -> None:
        self.relay.stop()
        self.headend.stop()
