"""The page of jobs, and what of them needs attention on the overview."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from headend.console.store import Role
from headend.kit import pages
from headend.kit.jobs import JobState
from headend.kit.language import N_
from headend.kit.side import Group, Page, PagePart, Visit
from shared.clock import Clock, to_ms

JOBS_ROLES = frozenset({Role.ADMIN.value})
LATE = timedelta(minutes=10)
TITLES = {
    "directory": N_("Publish the week's directory"),
    "draw": N_("Draw the reporting boxes"),
    "totals": N_("Hand over the box totals"),
    "release": N_("Close the week and release"),
    "prune": N_("Forget the week's counters"),
    "forget-tokens": N_("Forget the week's token keys"),
    "invoices": N_("Close the month and bill it"),
    "gaps": N_("Look for gaps"),
    "retention": N_("Forget what is past its period"),
}
"""What the sides' jobs do, by name; of another the name is shown."""
TROUBLE = frozenset({N_("failed"), N_("late")})


@dataclass(frozen=True)
class JobLine:
    """A job as pages show it; times are Unix milliseconds of the installation's clock."""

    name: str
    title: str
    slot: str
    due_ms: int
    last_slot: str
    last_ms: int | None
    state: str

    @property
    def troubled(self) -> bool:
        """Whether somebody should look at it."""
        return self.state in TROUBLE


class Running:
    """What tells of jobs; `jobs` gives how each stands, `clock` is the installation's."""

    def __init__(self, clock: Clock, jobs: Callable[[], list[JobState]]) -> None:
        self._clock = clock
        self._jobs = jobs

    def pages(self) -> list[PagePart]:
        """The one page."""
        return [PagePart("jobs", N_("Jobs"), JOBS_ROLES, self.page, Group.CONSOLE)]

    def page(self, visit: Visit) -> Page:
        """Every job: what it did last and what it does next."""
        lines = self.lines()
        return Page(
            pages.render(
                "headend.console",
                "console/jobs.html",
                visit,
                jobs=lines,
                troubled=sum(line.troubled for line in lines),
                now_ms=to_ms(self._clock.now()),
            )
        )

    def lines(self) -> list[JobLine]:
        """How each job stands: those that need attention first, then by when they are due."""
        now = self._clock.now()
        lines = [_line(job, now) for job in self._jobs()]
        return sorted(lines, key=lambda line: (not line.troubled, line.due_ms, line.name))


def _line(job: JobState, now: datetime) -> JobLine:
    last = job.last
    return JobLine(
        job.name,
        TITLES.get(job.name, job.name),
        job.next.name,
        to_ms(job.next.due),
        last.slot if last else "",
        last.done_ms if last else None,
        _state(job, now),
    )


def _state(job: JobState, now: datetime) -> str:
    if job.failed:
        return N_("failed")
    if job.next.due < now - LATE:
        return N_("late")
    return N_("due") if job.next.due <= now else N_("waiting")
