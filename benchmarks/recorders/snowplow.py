"""snowplow-tracker: self-describing events, kept in memory until the collector has them.

The setting that suits the job: batches larger than what is recorded, so that nothing is sent while it is
measured. It keeps its events in memory only; what has not been sent is gone with the process.
"""

from pathlib import Path

from snowplow_tracker import Emitter, SelfDescribing, SelfDescribingJson, Tracker

from benchmarks.recorders.running import run

_SCHEMA = "iglu:org.example/viewing/jsonschema/1-0-0"
_MORE_THAN_EVER = 1_000_000


class Tracked:
    """A tracker before a collector that cannot be reached."""

    def __init__(self, folder: Path) -> None:
        del folder
        self._emitter = Emitter(
            "127.0.0.1", protocol="http", port=9, batch_size=_MORE_THAN_EVER, buffer_capacity=_MORE_THAN_EVER
        )
        self._tracker = Tracker("box", self._emitter, encode_base64=False)

    def take(self, number: int) -> None:
        """See `Recording`."""
        told = {"event": "play", "kind": "live", "genre": 67, "ref": f"svc-{number % 40}"}
        self._tracker.track(SelfDescribing(SelfDescribingJson(_SCHEMA, told)))

    def finish(self) -> None:
        """See `Recording`; there is nothing that it does meanwhile."""

    def recovered(self) -> int:
        """See `Recording`."""
        return int(self._emitter.event_store.size())


if __name__ == "__main__":
    run({"memory": Tracked})
