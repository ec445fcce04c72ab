"""How far a figure can be trusted."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Confidence:
    """A sign and words for it. Signs differ in shape, not only in colour."""

    sign: str
    label: str


# Strongest first. A result is as trustworthy as its weakest input.
CONFIDENCES = {
    "published": Confidence("●", "published"),
    "derived": Confidence("◐", "derived"),
    "entered": Confidence("✎", "entered by you"),
    "estimated": Confidence("○", "estimated"),
    "assumed": Confidence("◇", "assumed by the model"),
}
STRONGEST_FIRST = tuple(CONFIDENCES)
WEAKEST_FIRST = STRONGEST_FIRST[::-1]
STATED = ("published", "derived", "estimated", "entered")  # what an entry may say of itself, as forms offer it


def confidence_label(name: str | None) -> str:
    """Return the words for a confidence; nothing where there is none."""
    return CONFIDENCES[name].label if name in CONFIDENCES else ""


def weakest(names: Iterable[str]) -> str:
    """Return the weakest of some confidences; the strongest there is where there are none."""
    return max(names, key=STRONGEST_FIRST.index, default=STRONGEST_FIRST[0])
