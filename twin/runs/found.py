"""What is found in a layout, in one list that every page and program shows: by its rules now, and by its last run."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.urls import reverse

from facility import kinds
from facility.models import Layout
from twin.core.provenance import solver_digest
from twin.core.results.details import RuleFinding
from twin.core.results.findings import BLOCKING, HINT, RISK
from twin.core.rules.remedies import REMEDIES
from twin.core.rules.report import Finding
from twin.page_parts import carried_stamp, stamp
from twin.runs.last_run import LastRun
from twin.runs.latest import LatestRun

ORDER = (BLOCKING, RISK, HINT)
FIELDS = tuple(entry.name for entry in fields(Finding))
values_of = attrgetter(*FIELDS)  # of a finding of any module, in the order of `FIELDS`


@dataclass(frozen=True, slots=True)
class Tally:
    """Number of findings by severity."""

    blocking: int = 0
    risks: int = 0
    hints: int = 0

    @property
    def n_findings(self) -> int:
        """Findings of all severities."""
        return self.blocking + self.risks + self.hints


def everything_found(
    layout: Layout, rules: Iterable[Finding | RuleFinding], last: LastRun | None, *, linked: bool = True
) -> list[dict[str, Any]]:
    """Return the findings of the rules and those of a run together, most severe first, those of the rules before.

    Parameters
    ----------
    layout : Layout
    rules : iterable of Finding or RuleFinding
        What the rules find in it now, or found when the run was made.
    last : LastRun, optional
        The newest finished run, or the one that is shown.
    linked : bool
        Whether the rules' findings carry the address of their object, which must be there now.
    """
    rows = [with_address(layout, finding) for finding in rules]
    for row in rows:
        row |= {"run": None, "scenario": "", "remedy_href": remedy_address(layout, row) if linked else ""}
        if not linked:
            row["href"] = ""
    if last:
        source = {"run": last.run.id, "scenario": last.run.scenario.name}
        rows += [finding | source for finding in last.findings]
    for row in rows:
        row["remedy"] = remedy.text if (remedy := REMEDIES.get(row["rule"])) else ""  # rules of older runs may be gone
    return sorted(rows, key=lambda row: ORDER.index(row["severity"]))


def remedy_address(layout: Layout, row: Mapping[str, Any]) -> str:
    """Return where the remedy of a rule's finding can be looked at and taken; empty where nothing is computed."""
    remedy = REMEDIES.get(row["rule"])
    if remedy is None or not (remedy.counts or remedy.moves):
        return ""
    named = f"kind={row['object_kind']}&id={row['object_id'] or ''}&rule={_quoted(row['rule'])}"
    return f"{address('layout-remedy', layout.site.slug, layout.slug)}?{named}"


def together(layout: Layout, rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, int, str]]:
    """Return the rules with several findings that are removed alike: name, number, where all are tried at once."""
    n = Counter(row["rule"] for row in rows if row.get("remedy_href"))
    page = address("layout-remedy", layout.site.slug, layout.slug)
    return [(rule, many, f"{page}?{urlencode({'rule': rule, 'all': 'on'})}") for rule, many in n.items() if many > 1]


def tally(rows: Iterable[dict[str, Any]]) -> Tally:
    """Return how many findings there are of each severity."""
    n = Counter(row["severity"] for row in rows)
    return Tally(n[BLOCKING], n[RISK], n[HINT])


def found_stamp(layout: Layout, carried: Mapping[str, Any] | None = None) -> str:
    """Return what changes with anything that the rules of this solver read of a layout."""
    spelled = repr((stamp(layout, carried), solver_digest()))
    return hashlib.sha256(spelled.encode()).hexdigest()


def tally_kept(layout: Layout, newest: LatestRun | None) -> Tally | None:
    """Return how many findings a layout has, where its newest run counted them as it is described now; None elsewhere.

    The layout is one of `page_parts.with_stamp`.

    To ask the rules takes a process that solves; the address `layout-tally` does.
    """
    if newest is None or newest.found_in != found_stamp(layout, carried_stamp(layout)):
        return None
    return Tally(newest.blocking, newest.risks, newest.hints)


def nothing_found(n_racks: int, last: LastRun | None) -> str:
    """Return the text for a layout without findings: what was checked, without praise for an empty layout."""
    if not n_racks:
        return "No rack stands here yet, so there is nothing to judge. Draw a hall and place racks in it."
    rules = "No rule is broken: floor, weights, feeds, CDUs and the grid limit all have room."
    if last is None:
        return f"{rules} No run has finished yet: limits, margins and failures over a year come from one."
    return (
        f"{rules} In the last run no limit was exceeded, no margin was small, no single failure cost tokens and no "
        "loss throttled a rack."
    )


_quoted = lru_cache(quote_plus)  # a thousand findings are of a dozen rules


@lru_cache(maxsize=4096)  # a big layout's findings name hundreds of objects
def address(name: str, *args: str | int) -> str:
    """Return the address of a page."""
    return reverse(name, args=args)


def with_address(layout: Layout, finding: Finding | RuleFinding) -> dict[str, Any]:
    """Return a rule's finding as templates show it, with the address of its object or of the list it stands in."""
    here = [layout.site.slug, layout.slug]
    if finding.object_kind in ("rack", "cdu") and finding.object_id:
        href = address(f"{finding.object_kind}-detail", *here, finding.object_id)
    elif finding.object_kind in kinds.BY_NAME:
        href = address("part-list", *here, kinds.BY_NAME[finding.object_kind].slug)
    else:
        href = address("site-detail", here[0])
    against = "" if finding.limit is None else "of"
    return dict(zip(FIELDS, values_of(finding), strict=True)) | {"href": href, "against": against}
