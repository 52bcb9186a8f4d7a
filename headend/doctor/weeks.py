"""Weeks and jobs: is what was due done, is what was published everywhere, does the clock go forward."""

from collections.abc import Callable
from datetime import datetime, timedelta

from headend.analytics.archive import ReleaseArchive
from headend.billing.side import BILLED_AFTER, FORGOTTEN_AFTER
from headend.doctor.findings import Answer, broken, fine, warning
from headend.doctor.patient import Patient, Row
from headend.exchange import DIRECTORY_LEAD_WEEKS
from headend.kit.jobs import Slot, day_slot, week_slot
from shared.clock import from_ms
from shared.weeks import Month, Week

LATE = timedelta(hours=1)
TOO_LATE = timedelta(days=1)
CLOCK_SLACK_MS = 60_000
"""How far apart the clocks of two machines that write to one database may be."""

Due = Callable[[Patient, str | None], Slot]


def _weekly(due: Callable[[Patient, Week], datetime]) -> Due:
    def slot(patient: Patient, done: str | None) -> Slot:
        return week_slot(done, patient.installation.first_week, lambda week: due(patient, week))

    return slot


def _daily(patient: Patient, done: str | None) -> Slot:
    return day_slot(done, patient.now, patient.installation.zone)


def _monthly(patient: Patient, done: str | None) -> Slot:
    zone = patient.installation.zone
    first = Month.of(patient.installation.first_week.start(zone), zone)
    month = first if done is None else Month.parse(done).plus(1)
    return Slot(str(month), month.end(zone) + BILLED_AFTER)


def _start(patient: Patient, week: Week) -> datetime:
    return week.start(patient.installation.zone)


def _closes(patient: Patient, week: Week) -> datetime:
    return week.closes(patient.installation.zone)


JOBS: dict[str, tuple[str, Due]] = {
    "directory": (
        "billing",
        _weekly(lambda patient, week: _start(patient, week.plus(-DIRECTORY_LEAD_WEEKS))),
    ),
    "draw": ("billing", _weekly(_start)),
    "invoices": ("billing", _monthly),
    "forget-tokens": ("billing", _weekly(lambda patient, week: _closes(patient, week) + FORGOTTEN_AFTER)),
    "gaps": ("billing", _daily),
    "retention": ("billing", _daily),
    "totals": ("billing", _weekly(lambda patient, week: _start(patient, week.plus(2)))),
    "release": ("analytics", _weekly(_closes)),
    "prune": ("analytics", _weekly(_closes)),
}
"""Every job, the side that records it, and when its next slot is due after the one done last."""


def next_slot(patient: Patient, job: str) -> Slot:
    """The first slot of a job that is not recorded as done."""
    _, due = JOBS[job]
    return due(patient, _done(patient, job))


def _done(patient: Patient, job: str) -> str | None:
    side, _ = JOBS[job]
    done: dict[str, str] = dict(patient.rows(side, "SELECT job, max(slot) FROM job_runs GROUP BY job"))
    return done.get(job)


def _due(patient: Patient, job: str) -> datetime:
    """When the first turn that was missed was due: a daily job itself goes on with today's."""
    last = _done(patient, job)
    if last is not None and JOBS[job][1] is _daily:
        return day_slot(last, from_ms(0), patient.installation.zone).due
    return next_slot(patient, job).due


def jobs(patient: Patient) -> Answer:
    """No job is late."""
    now = patient.now
    dues = {job: _due(patient, job) for job, (side, _) in JOBS.items() if patient.has(side)}
    late = {job: now - due for job, due in dues.items() if due < now - LATE}
    if not late:
        return fine("no job is late")
    worst = max(late, key=lambda job: late[job])
    hours = int(late[worst] / timedelta(hours=1))
    says = f"{', '.join(late)} late, {worst} by {hours} hours"
    do = f"look for the job's name in the log; headend jobs {patient.folder}"
    return broken(says, do) if late[worst] > TOO_LATE else warning(says, do)


def directories(patient: Patient) -> Answer:
    """This week's directory and the next one's are published, the same at both sides."""
    first, this = patient.installation.first_week, Week.of(patient.now, patient.installation.zone)
    wanted = [str(week) for week in (this, this.plus(1)) if not str(week) < str(first)]
    sides = [side for side in ("billing", "analytics") if patient.has(side)]
    found = {side: _directories(patient, side) for side in sides}
    for week in wanted:
        if lacking := [side for side in sides if week not in found[side]]:
            return broken(
                f"no directory of {week} at {' and '.join(lacking)}",
                f"headend directory publish {patient.folder} {week}",
            )
        if len({held[week] for held in found.values()}) > 1:
            return broken(f"the sides hold two directories of {week}", "restore both sides from one backup")
    return fine(
        f"directories are published for {', '.join(wanted)}" if wanted else "the first week is to come"
    )


def _directories(patient: Patient, side: str) -> dict[str, bytes]:
    rows: list[Row] = patient.rows(side, "SELECT week, envelope FROM directories ORDER BY week DESC LIMIT 60")
    return {week: bytes(envelope) for week, envelope in rows}


def releases(patient: Patient) -> Answer:
    """Every release stands in the archive beside the database, byte for byte, and no other does."""
    folder = patient.installation.folder / "releases"
    archive = ReleaseArchive(folder)
    rows = patient.rows("analytics", 'SELECT week, manifest, "table" FROM releases ORDER BY week')
    for week, manifest, table in rows:
        found = archive.find(Week.parse(week))
        if (found is None or found.table is None) and patient.on_postgres("analytics"):
            return warning(f"releases/ lacks {week}, which another node drew", "nothing: serving fetches it")
        if found is None or found.table is None:
            return broken(
                f"releases/ lacks {week}: a restored database would draw it a second time",
                "copy releases/ back from the newest backup",
            )
        if (found.manifest, found.table) != (bytes(manifest), bytes(table)):
            return broken(
                f"releases/ says otherwise of {week} than the database", "keep both; ask who wrote it"
            )
    held = {path.name.split(".")[0] for path in folder.glob("*.manifest.json")}
    if more := sorted(held - {str(row[0]) for row in rows}):
        return warning(
            f"the database does not know {', '.join(more)}, which releases/ has",
            "nothing: the database is of an older backup, and no week is drawn a second time",
        )
    return fine(f"releases/ has all {len(rows)} releases")


def totals(patient: Patient) -> Answer:
    """The totals of every week that has been handed over stand in their file."""
    rows = patient.rows("billing", "SELECT slot FROM job_runs WHERE job = 'totals' ORDER BY slot")
    folder = patient.installation.folder / "totals"
    lost = [week for (week,) in rows if not (folder / f"{week}.json").exists()]
    if patient.on_postgres("billing"):
        return fine(
            f"totals/ has {len(rows) - len(lost)} of {len(rows)} weeks: those of which this node ran the job"
        )
    if lost:
        return warning(f"totals/ lacks {', '.join(lost[-3:])}", "copy totals/ back from the newest backup")
    return fine(f"totals/ has all {len(rows)} weeks")


def clock_goes_forward(patient: Patient) -> Answer:
    """Nothing that is stored comes from later than now."""
    newest = max(_newest(patient), default=0)
    ahead = newest - patient.now_ms
    if ahead > CLOCK_SLACK_MS:
        return broken(
            f"the clock is {ahead // 1000} s behind what is stored ({from_ms(newest).isoformat()})",
            "set the clock before serving: timedatectl; until then no job is due",
        )
    return fine("the clock is not behind what is stored")


def _newest(patient: Patient) -> list[int]:
    asked = [
        ("billing", "SELECT max(done_ms) FROM job_runs"),
        ("billing", "SELECT at_ms FROM entries ORDER BY entry DESC LIMIT 1"),
        ("analytics", "SELECT max(done_ms) FROM job_runs"),
    ]
    found = [row[0] for side, sql in asked if patient.has(side) for row in patient.rows(side, sql)]
    return [ms for ms in found if ms is not None]
