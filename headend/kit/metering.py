"""What is measured of a headend, in the Prometheus form: every family's name, kind and sentence stand here.

Names follow Prometheus' own practice: base units, `_total` for what only grows. No label holds an id, an
address, a title or a cell. Routes are templates, so that a path with an id in it is never a label.
"""

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from shared.errors import StbError

disable_created_metrics()  # type: ignore[no-untyped-call] # the library's own way

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[str, dict[str, str], float]
"""Name, labels, value."""


class UnknownFamilyError(StbError):
    """A sample of a family that is not declared here."""


FAMILIES = {
    "headend_shed_total": "Requests refused for want of a place since the start, by urgency.",
    "headend_requests_in_flight": "Requests that hold a place now, the large ones counted by their size.",
    "headend_backup_last_success_timestamp_seconds": "When a side was last backed up from this folder; or 0.",
    "headend_simulated": "1 if the installation is an invented one.",
    "headend_refused_total": "Requests and fragments refused, by the problem's name.",
    "headend_accepted_total": "Tokens accepted with their fragments, of the newest weeks; never by cell.",
    "headend_releases": "Releases drawn.",
    "headend_weeks": "Weeks by how far they have come.",
    "headend_budget_spent_rho": "Privacy budget spent by all releases, in rho (zero-concentrated).",
    "headend_budget_left_rho": "What the next release may cost, in rho.",
    "headend_budget_next_rho": "What the next release will cost, in rho.",
    "headend_orders": "Orders by state.",
    "headend_orders_missing": "Orders and reports that boxes told of and that are not here.",
    "headend_boxes_with_gaps": "Boxes of which something is missing.",
    "headend_gap_oldest_age_seconds": "How long the oldest gap has stood; 0 if there is none.",
    "headend_alarms": "Alarms kept, by kind.",
    "headend_books_close": "1 if every order stands somewhere and the ledger agrees to the cent.",
    "headend_ledger_imbalance_cents": "What the ledger's accounts add up to; anything but 0 is wrong.",
    "headend_export_batches_total": "Export batches closed.",
    "headend_export_waiting_entries": "Ledger entries in no export batch yet.",
    "headend_export_oldest_waiting_age_seconds": "Age of the oldest such entry; 0 if there is none.",
    "headend_job_failed": "1 if the newest try of the job in this process failed.",
    "headend_job_overdue_seconds": "How long the job's next slot has been due; 0 if it is to come.",
    "headend_job_last_success_timestamp_seconds": "When its last slot was done, by the installation's clock.",
    "headend_jobs_turn": "1 while this process has the turn of the jobs, and runs them.",
    "headend_jobs_last_turn_timestamp_seconds": "When it last took it, by the installation's clock; or 0.",
    "headend_database_bytes": "Size of a side's database.",
    "headend_database_log_bytes": "Size of its write-ahead log, where the database is a file.",
    "headend_database_connections": "Connections to a side's PostgreSQL that are taken, by whomever.",
    "headend_database_connections_limit": "How many may be: the nearest limit of server, database and role.",
    "headend_disk_free_bytes": "Room left on the disk of the installation's folder.",
}
"""What sides and the composition root may tell, and what each family means."""
OF_DATABASES = frozenset(
    {
        "headend_refused_total",
        "headend_accepted_total",
        "headend_releases",
        "headend_weeks",
        "headend_budget_spent_rho",
        "headend_budget_left_rho",
        "headend_budget_next_rho",
        "headend_orders",
        "headend_orders_missing",
        "headend_boxes_with_gaps",
        "headend_gap_oldest_age_seconds",
        "headend_alarms",
        "headend_books_close",
        "headend_ledger_imbalance_cents",
        "headend_export_batches_total",
        "headend_export_waiting_entries",
        "headend_export_oldest_waiting_age_seconds",
        "headend_job_overdue_seconds",
        "headend_job_last_success_timestamp_seconds",
        "headend_database_bytes",
        "headend_database_connections",
        "headend_database_connections_limit",
    }
)
"""Families that stand in the databases, so that every node tells the same; a sum over nodes is too much.

Of `headend_refused_total` the console's part is of a process.
"""

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_GROUP_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

_MIB = 1 << 20
_COARSE = {
    "headend_database_bytes": _MIB,
    "headend_database_log_bytes": 16 * _MIB,
    "headend_disk_free_bytes": _MIB,
}
"""Told in whole steps: a fragment that says something writes a page more than one that says nothing."""
_GROUP_SIZE = Histogram(
    "headend_commit_group_size",
    "Pieces of work in one commit.",
    ["store"],
    buckets=_GROUP_SIZES,
    registry=None,
)
_GROUP_SECONDS = Histogram(
    "headend_commit_duration_seconds",
    "How long a commit took, its work included.",
    ["store"],
    buckets=_COMMIT_SECONDS,
    registry=None,
)
_GROUP_WAIT = Histogram(
    "headend_commit_wait_seconds",
    "How long the first piece of work of a group waited for its turn.",
    ["store"],
    buckets=_COMMIT_SECONDS,
    registry=None,
)


class GroupMeter:
    """Measures the groups in which one store commits."""

    def __init__(self, store: str) -> None:
        self._size = _GROUP_SIZE.labels(store)
        self._seconds = _GROUP_SECONDS.labels(store)
        self._wait = _GROUP_WAIT.labels(store)

    def done(self, size: int, waited: float, took: float) -> None:
        """A group has been committed: its size, seconds waited by its first, and seconds it took."""
        self._size.observe(size)
        self._wait.observe(waited)
        self._seconds.observe(took)


class RequestMeter:
    """Counts the requests of one application, and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "headend_requests_total",
            "Requests answered, by the route's template.",
            ["side", "route", "method", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "headend_request_duration_seconds",
            "How long answers took.",
            ["side", "route"],
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self._kept: dict[tuple[str, str, str, int], tuple[Counter, Histogram]] = {}
        self._now = Gauge("headend_requests_in_progress", "Requests being answered now.", registry=registry)

    def begin(self) -> None:
        """A request has come."""
        self._now.inc()

    def end(self) -> None:
        """It is over, whatever came of it."""
        self._now.dec()

    def answered(self, side: str, route: str, method: str, status: int, seconds: float) -> None:
        """It was answered: `route` is a template."""
        key = side, route, method if method in _METHODS else "other", status // 100
        kept = self._kept.get(key)
        if kept is None:  # finding a label costs more than counting
            count = self._count.labels(*key[:3], f"{key[3]}xx")
            kept = self._kept[key] = count, self._seconds.labels(side, route)
        kept[0].inc()
        kept[1].observe(seconds)


def make_registry() -> CollectorRegistry:
    """A registry with what every process of a headend tells: itself, its version, its commits."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    for measured in (_GROUP_SIZE, _GROUP_SECONDS, _GROUP_WAIT):
        registry.register(measured)
    built = Gauge("headend_build_info", "Which version this is.", ["version", "python"], registry=registry)
    built.labels(_version(), platform.python_version()).set(1)
    return registry


def families(samples: Iterable[Sample]) -> Iterable[Metric]:
    """Samples as families, each with its sentence.

    Raises:
        UnknownFamilyError: one is of a family that is not declared.
    """
    found: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for name, labels, value in samples:
        if name not in FAMILIES:
            raise UnknownFamilyError(f"{name} is not declared in headend/kit/metering.py")
        step = _COARSE.get(name)
        told = value if step is None else -(-value // step) * step
        made = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        family = found.setdefault(name, made(name, FAMILIES[name], labels=sorted(labels)))
        family.add_metric([labels[key] for key in sorted(labels)], told)
    return found.values()


def exposed(registry: CollectorRegistry) -> bytes:
    """What `/metrics` answers."""
    return generate_latest(registry)


def _version() -> str:
    try:
        return version("stb-telemetry")
    except PackageNotFoundError:
        return "unknown"
