"""Health, readiness and metrics of a served headend: for the machine that it runs on, never passed on.

A scrape asks running sums and indexes, never a table's every row.
"""

import logging
import os
import shutil
from collections.abc import Iterable

import msgspec
from flask import Flask, Response, g, request
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from headend.installation import Installation
from headend.kit.admission import Admission
from headend.kit.jobs import Jobs
from headend.kit.logs import REQUEST
from headend.kit.metering import CONTENT_TYPE, RequestMeter, Sample, exposed, families, make_registry
from headend.kit.side import Side
from shared.clock import to_ms
from shared.system_clock import SystemClock

UNMATCHED = "unmatched"
"""The route of a request that no route takes: what was asked for is nobody's label."""
OPERATIONS = "operations"
ANONYMOUS = "analytics"
"""The side of whose requests nothing is logged."""
ACCESS_VARIABLE = "HEADEND_ACCESS_LOG"
REQUEST_ID_BYTES = 6

access_log = logging.getLogger("headend.access")


class _Samples(Collector):
    """What sides, jobs and the folder tell when they are asked."""

    def __init__(
        self, installation: Installation, sides: list[Side], jobs: Jobs, admission: Admission
    ) -> None:
        self._installation, self._sides, self._jobs = installation, sides, jobs
        self._admission = admission

    def collect(self) -> Iterable[Metric]:
        return families(self._samples())

    def _samples(self) -> Iterable[Sample]:
        for side in self._sides:
            yield from side.metrics()
            yield from ((name, {"side": side.name}, value) for name, value in side.measured())
            yield "headend_backup_last_success_timestamp_seconds", {"side": side.name}, self._backed_up()
        yield from self._of_jobs()
        yield "headend_jobs_turn", {}, self._jobs.has_turn
        yield "headend_jobs_last_turn_timestamp_seconds", {}, self._jobs.last_turn_ms / 1000
        yield from self._admission.samples()
        yield "headend_simulated", {}, self._installation.settings.simulated
        yield "headend_disk_free_bytes", {}, shutil.disk_usage(self._installation.folder).free

    def _backed_up(self) -> float:
        at = self._installation.backed_up()
        return 0.0 if at is None else at.timestamp()

    def _of_jobs(self) -> Iterable[Sample]:
        now = self._installation.clock().now()
        for job in self._jobs.overview():
            labels = {"job_name": job.name}
            yield "headend_job_failed", labels, job.failed
            yield "headend_job_overdue_seconds", labels, max(0.0, (now - job.next.due).total_seconds())
            if job.last is not None:
                yield "headend_job_last_success_timestamp_seconds", labels, job.last.done_ms / 1000


def watch(
    app: Flask, installation: Installation, sides: list[Side], jobs: Jobs, admission: Admission
) -> RequestMeter:
    """Give the application `/healthz`, `/readyz` and `/metrics`, and measure what it answers.

    Gives what counts requests, for those that are answered past the application.
    """
    registry = make_registry()
    registry.register(_Samples(installation, sides, jobs, admission))
    meter = RequestMeter(registry)
    _measure(app, meter, _sides_by_blueprint(sides))

    @app.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", content_type="text/plain")

    @app.get("/readyz")
    def readyz() -> Response:
        for side in sides:
            side.ready()
        due = jobs.next_due()
        body = {
            "ready": True,
            "simulated": installation.settings.simulated,
            "now_ms": to_ms(installation.clock().now()),
            "next_job_due_ms": None if due is None else to_ms(due),
        }
        return Response(msgspec.json.encode(body), content_type="application/json")

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(exposed(registry), content_type=CONTENT_TYPE)

    return meter


def _sides_by_blueprint(sides: list[Side]) -> dict[str | None, str]:
    return {blueprint.name: side.name for side in sides for blueprint in side.blueprints}


def _measure(app: Flask, meter: RequestMeter, side_of: dict[str | None, str]) -> None:
    clock = SystemClock()
    is_logged = os.environ.get(ACCESS_VARIABLE) == "1"

    def side() -> str:
        return side_of.get(request.blueprint, OPERATIONS)

    @app.before_request
    def begin() -> None:
        g.begun = clock.monotonic()
        REQUEST.set("" if side() == ANONYMOUS else os.urandom(REQUEST_ID_BYTES).hex())
        meter.begin()

    @app.after_request
    def answered(response: Response) -> Response:
        took = clock.monotonic() - g.begun
        meter.answered(side(), route(), request.method, response.status_code, took)
        if is_logged:
            log_access(side(), route(), request.method, response.status_code, took)
        return response

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if "begun" in g:
            meter.end()
            REQUEST.set("")


def route() -> str:
    """The template of the route that takes the request: what may be told of where it went."""
    return request.url_rule.rule if request.url_rule is not None else UNMATCHED


def log_access(side: str, route: str, method: str, status: int, took: float) -> None:
    """Log a request of the named line or the console; never one of the anonymous line."""
    if side in {ANONYMOUS, OPERATIONS}:
        return
    told = {
        "side": side,
        "route": route,
        "method": method,
        "status": status,
        "seconds": round(took, 4),
    }
    token = REQUEST.set(REQUEST.get() or os.urandom(REQUEST_ID_BYTES).hex())
    access_log.info("request", extra=told)
    REQUEST.reset(token)
