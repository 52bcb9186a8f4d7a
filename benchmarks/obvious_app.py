"""The obvious version of a collector: Flask, and one sqlite-utils insert for each request.

Written as somebody would who has read both packages' first pages: the database is opened where it is needed,
and nothing is set on it. SQLite's own defaults make it durable: a rollback journal, synced before the answer.
"""

import os

from flask import Flask, request
from sqlite_utils import Database
from sqlite_utils.db import NotFoundError

app = Flask(__name__)
PATH = os.environ.get("OBVIOUS_DATABASE", "obvious.db")


@app.get("/")
def alive() -> dict[str, bool]:
    """Answer while the process lives."""
    return {"alive": True}


@app.post("/events")
def event() -> dict[str, bool]:
    """Keep one event as it comes."""
    Database(PATH)["events"].insert(request.get_json())
    return {"kept": True}


@app.post("/facts")
def fact() -> dict[str, bool]:
    """Count one fact: look what its cell says, and write one more."""
    table, cell = Database(PATH)["counters"], request.get_json()["cell"]
    try:
        table.update(cell, {"n": table.get(cell)["n"] + 1})
    except NotFoundError:
        table.insert({"cell": cell, "n": 1}, pk="cell")
    return {"counted": True}
