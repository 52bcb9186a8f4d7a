"""The command `box-agent`. `run` starts the agent; everything else is a question, see `box_agent.commands`.

`box-agent run` takes events before it has imported most of itself, if the environment says where its files
are, as the service unit does; see docs/box.md.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from box_agent.starting import Places

RUN = "run"
_CONFIG = "--config"
DEFAULT_CONFIG = "/etc/box-agent.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; exit status: 0 done, 1 refused, 2 wrong usage or settings, 3 a damaged store."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    config = _asks_to_run(given)
    if config is None:
        from box_agent.commands import ask

        return ask(given)
    places = _places()
    if places is None:
        from box_agent.running import run

        return run(config)
    from box_agent.starting import start_and_run

    return start_and_run(config, places)


def _asks_to_run(given: list[str]) -> str | None:
    """The settings' file if this is plainly `run`; anything else is for the full reader of arguments."""
    if given == [RUN]:
        return DEFAULT_CONFIG
    if len(given) == len((_CONFIG, "FILE", RUN)) and (given[0], given[2]) == (_CONFIG, RUN):
        return given[1]
    return None


def _places() -> Places | None:
    """Where the files are, if the environment says all of it; else the settings have to be read first."""
    told = [os.environ.get(f"BOX_AGENT_{name}") for name in ("STATE_DIR", "SOCKET_PATH", "CONSENT_FILE")]
    if not all(told) or os.environ.get("BOX_AGENT_STEERED_CLOCK"):
        return None
    gc.disable()  # until the first event is taken: imports make nothing that could be collected
    from box_agent.starting import Places

    return Places(*(one or "" for one in told))


if __name__ == "__main__":
    sys.exit(main())
