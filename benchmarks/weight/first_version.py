"""The obvious first version of a recorder, to be measured beside ours: SQLite as it comes, a commit an event.

    python -m benchmarks.weight.first_version FOLDER < events

takes one event a line, keeps each in a transaction of its own (pages of 4,096 bytes, WAL, synchronous FULL),
prints what this process has written, and waits for the end of its input.
"""

import sqlite3
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Record, and tell."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / "events.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT NOT NULL, event TEXT NOT NULL)")
    for line in sys.stdin:
        at, _, event = line.rstrip("\n").partition("\t")
        connection.execute("INSERT INTO events (at, event) VALUES (?, ?)", (at, event))
    print(Path("/proc/self/io").read_text(), flush=True)
    connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
