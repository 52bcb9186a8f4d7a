"""opentelemetry-sdk: log records, in batches or each by itself, to a file on this machine.

The exporter is the SDK's own for a stream, one line of JSON a record. Lines that are in the file survive the
process. The SDK does not read them again at its next start: that would be the user's own work, and the lines
are counted here as if it were done. Nothing is synced.
"""

from collections.abc import Callable
from pathlib import Path

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    ConsoleLogRecordExporter,
    SimpleLogRecordProcessor,
)

from benchmarks.recorders.running import run

_FILE = "records.jsonl"
_QUEUE, _BATCH = 1_000_000, 20


class Logged:
    """A logger that writes to a file."""

    def __init__(self, folder: Path, processor: Callable[[ConsoleLogRecordExporter], object]) -> None:
        self._path = folder / _FILE
        self._path.touch()
        exporter = ConsoleLogRecordExporter(out=self._path.open("a"), formatter=_line)
        self._provider = LoggerProvider(shutdown_on_exit=False)
        self._provider.add_log_record_processor(processor(exporter))
        self._logger = self._provider.get_logger("viewing")

    def take(self, number: int) -> None:
        """See `Recording`."""
        told = {"kind": "live", "genre": 67, "ref": f"svc-{number % 40}"}
        self._logger.emit(LogRecord(severity_number=SeverityNumber.INFO, body="play", attributes=told))

    def finish(self) -> None:
        """See `Recording`."""
        self._provider.force_flush()

    def recovered(self) -> int:
        """See `Recording`."""
        return self._path.read_text().count("\n")


def _line(record: object) -> str:
    return record.to_json(indent=None) + "\n"  # type: ignore[attr-defined]  # as the exporter hands it over


def _batched(folder: Path) -> Logged:
    def twenty(exporter: ConsoleLogRecordExporter) -> BatchLogRecordProcessor:
        return BatchLogRecordProcessor(exporter, max_queue_size=_QUEUE, max_export_batch_size=_BATCH)

    return Logged(folder, twenty)


def _single(folder: Path) -> Logged:
    return Logged(folder, SimpleLogRecordProcessor)


if __name__ == "__main__":
    run({"batched": _batched, "single": _single})
