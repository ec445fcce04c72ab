"""Readings counted by a reason: why they were refused, or what is odd about those that were taken."""

from collections import Counter
from collections.abc import Mapping

MOST_REASONS = 50
OTHER = "other reasons"

TOO_OLD = "older than the site keeps readings"
DROPPED = "its point was dropped"

LATE = "late: its time is over five minutes ago"
AHEAD = "ahead: its time is over a minute from now; a clock or a zone is off"
OUT_OF_ORDER = "out of order: older than one of its point before"
STUCK = "stuck: the same to the last digit for over an hour"
NOT_GOOD = "its quality is not good"
#: What may be odd, each with its bit: noticed when a reading comes, counted once it is known to be no duplicate.
ODD: Mapping[str, int] = {reason: 1 << i for i, reason in enumerate((LATE, AHEAD, OUT_OF_ORDER, STUCK, NOT_GOOD))}


def joined(before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Return counts by reason, those beyond the most frequent together."""
    total = Counter(before)
    total.update(more)
    found = dict(Counter({reason: n for reason, n in total.items() if reason != OTHER}).most_common(MOST_REASONS))
    if rest := total.total() - sum(found.values()):
        found[OTHER] = rest
    return found
