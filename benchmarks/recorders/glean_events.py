"""Mozilla's glean-sdk: an event metric, kept by the SDK in its own files until its uploader is done.

The setting that suits the job: as many events a ping as are recorded, so that all stay on hand, an uploader
that never gets through, and no process for it. Its files are not synced: what it has written survives the
process, and a power cut perhaps not.
"""

import json
from pathlib import Path
from time import monotonic, sleep

from glean import Configuration, Glean, load_metrics
from glean.net import BaseUploader
from glean.net.ping_uploader import UploadResult

from benchmarks.recorders.running import run

MOST_EVENTS = 1_000_000
_METRICS = Path(__file__).with_name("glean_metrics.yaml")
_WAIT_S = 10.0


class _Never(BaseUploader):
    def upload(self, request: object) -> object:
        """Never gets through."""
        del request
        return UploadResult.RECOVERABLE_FAILURE(0)


class Events:
    """The SDK in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._viewing = load_metrics(_METRICS).viewing
        told = Configuration(
            server_endpoint="http://127.0.0.1:9",
            ping_uploader=_Never(),
            allow_multiprocessing=False,
            max_events=MOST_EVENTS,
        )
        Glean.initialize("bench", "1", True, data_dir=folder, configuration=told)  # noqa: FBT003 (its own order)

    def take(self, number: int) -> None:
        """See `Recording`."""
        extra = self._viewing.EventExtra(name="play", kind="live", genre=67, ref=f"svc-{number % 40}")
        self._viewing.event.record(extra)

    def finish(self) -> None:
        """See `Recording`; asking for the values waits for everything told before."""
        self._viewing.event.test_get_num_recorded_errors(_error_kind())

    def recovered(self) -> int:
        """See `Recording`: at its start the SDK makes pings of what was left behind."""
        until, found = monotonic() + _WAIT_S, 0
        while not found and monotonic() < until:
            sleep(0.1)
            found = sum(_events_in(path) for path in (self._folder / "pending_pings").glob("*"))
        return found


def _error_kind() -> object:
    from glean.testing import ErrorType  # noqa: PLC0415 (not part of what is measured)

    return ErrorType.INVALID_VALUE


def _events_in(path: Path) -> int:
    lines = path.read_text().splitlines()
    return len(json.loads(lines[1]).get("events", [])) if len(lines) > 1 else 0


if __name__ == "__main__":
    run({"events": Events})
