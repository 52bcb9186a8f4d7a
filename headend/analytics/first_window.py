"""Which window a page shows first: the shortest of which it can tell something, never too short a one."""

from collections.abc import Callable
from dataclasses import dataclass

from headend.analytics.estimates import Estimates
from headend.analytics.windows import WINDOWS
from headend.analytics.wording import Wording
from headend.kit.language import N_
from shared.register import profile

SMALL_PANEL = profile("small").max_accounts
"""Up to so many reporting boxes a panel is small: single weeks of it are too noisy to begin with."""
_LONGER = {
    "four": N_("Of a single week these figures are withheld ({reason}), so four weeks come first."),
    "quarter": N_("Of four weeks these figures are withheld ({reason}), so a quarter comes first."),
}
_SMALL = N_(
    "In the newest week {n} boxes reported: single weeks of so small a panel are too noisy to begin with, so "
    "four weeks come first."
)


@dataclass(frozen=True)
class First:
    """The window to begin with, and why it is no shorter one: a message with its places, or nothing."""

    window: str
    message: str = ""
    reason: str = ""
    boxes: int = 0

    def why(self, words: Wording) -> str:
        """Why this window comes first, in a sentence."""
        reason = words.text(self.reason)
        return (
            words.text(self.message, reason=reason, n=words.language.number(self.boxes))
            if self.message
            else ""
        )


def first_window(estimates_of: Callable[[str], Estimates]) -> First:
    """The shortest window of which the leading table tells something; in a small panel not below four weeks.

    `estimates_of` gives the estimates of that table in a window of that name.
    """
    found = First("week")
    for window in WINDOWS:
        estimates = estimates_of(window)
        if window == "week" and estimates.reporting <= SMALL_PANEL:
            found = First("four", _SMALL, boxes=estimates.reporting)
            continue
        reason = _withheld(estimates)
        if not reason:
            return found if found.window == window else First(window, found.message, found.reason)
        if window == "quarter":
            return First("quarter", _LONGER["quarter"], reason)
        longer = "four" if window == "week" else "quarter"
        found = First(longer, _LONGER[longer], reason)
    return found


def _withheld(estimates: Estimates) -> str:
    """Why the leading table is withheld in most of its groups; nothing if half of them show anything."""
    groups = [group for one in (*estimates.measures, *estimates.summed) for group in one.groups]
    empty = [group for group in groups if group.withheld or all(cell.withheld for cell in group.cells)]
    if not groups or (2 * len(empty) <= len(groups) and len(empty) < len(groups)):
        return ""
    return next((group.withheld or group.cells[0].withheld for group in empty), "")
