"""Whether what a run solved is still what its layout and scenario say: one rule for every page, report and program.

It goes by what the description says, not by when it was edited: a change and its undo leave nothing to mark. Names of
layout, site and scenario do not count, nor do entries of the catalogue that the layout does not name. Of a layout that
nothing has touched since its run a stamp says so; of others both descriptions are read, once for each edit.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

from facility.models import Layout
from twin.core.inputs.layout import TABLES, LayoutInputs, layout_inputs
from twin.exceptions import CannotSimulate
from twin.models import Run, Scenario, ScenarioWorkload
from twin.page_parts import product_stamp, remembered, stamp
from twin.runs import snapshot
from twin.runs.latest import LatestRun

#: By the name of a column: the table whose rows it names.
REFERENCES = {
    "hall_id": "halls",
    "plant_id": "plants",
    "cdu_id": "cdus",
    "parent_id": "feeds",
    "feed_a_id": "feeds",
    "feed_b_id": "feeds",
}
NAMES = ("slug", "name")
LAYOUT_COUNTS = ("version",)  # of edits


Known = Mapping[str, frozenset[str]]  # names of the columns that a snapshot has, by its parts


def described(inputs: LayoutInputs, known: Known | None = None) -> str:
    """Return a digest of what a snapshot describes, whatever its rows' ids and the order in which they were made.

    Columns that an older snapshot does not know, and whose default says so (None), are left out by `known`.
    """
    known = known or {}
    rows = {table: [_plain(row, known.get(table)) for row in getattr(inputs, table)] for table in TABLES}
    rows["racks"] = _racks(inputs)
    names: dict[str, dict[int, str]] = {}
    for table in ("halls", "plants", "feeds", "cdus"):  # names are unique in their layout
        names[table] = {row["id"]: row["name"] for row in rows[table]}
    sheets = {key: (sheet.kind, sheet.slug, sheet.facts) for key, sheet in inputs.products.by_id.items()}
    body: dict[str, Any] = {
        table: sorted((_named(row, names, sheets) for row in found), key=_spelled) for table, found in rows.items()
    }
    for part, skipped in (("site", NAMES), ("layout", (*NAMES, *LAYOUT_COUNTS)), ("weather", NAMES)):
        body[part] = _plain(getattr(inputs, part), known.get(part), (*skipped, "region", "assumed"))
    body["region"] = (inputs.site.region.slug, inputs.site.region.facts)
    body["scenario"] = _plain(inputs.scenario, known.get("scenario"), (*NAMES, "workloads"))
    body["workloads"] = [
        _plain(share, known.get("workloads"), ("workload",)) | {"workload": (share.workload.slug, share.workload.facts)}
        for share in inputs.scenario.workloads
    ]
    return hashlib.sha256(_spelled(body).encode()).hexdigest()


def _racks(inputs: LayoutInputs) -> list[dict[str, Any]]:
    """Return the racks, kept by column, as rows."""
    names = [column.name for column in fields(inputs.racks)]
    columns = (getattr(inputs.racks, name) for name in names)
    return [dict(zip(names, map(_number, values), strict=True)) for values in zip(*columns, strict=True)]


def _plain(row: Any, known: frozenset[str] | None, without: Sequence[str] = ()) -> dict[str, Any]:
    return {
        column.name: _number(getattr(row, column.name))
        for column in fields(row)
        if column.name not in without and (known is None or column.name in known or column.default is not None)
    }


def _number(value: Any) -> Any:
    """Return a whole number as the one kind of number: a form, a file and a database give either."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _known(stored: Mapping[str, Any]) -> Known:
    """Return which columns a stored snapshot has."""
    tables = {name: frozenset(rows[0]) for name in TABLES if (rows := stored.get(name))}
    whole = {name: frozenset(stored[name]) for name in ("site", "layout", "scenario", "weather")}
    return tables | whole | {"workloads": frozenset(stored["scenario"]["workloads"][0])}


def _named(row: Mapping[str, Any], names: Mapping[str, Mapping[int, str]], sheets: Mapping[int, Any]) -> dict[str, Any]:
    """Return a row with the names of what it refers to, and what its products say, in the place of ids."""
    found = {}
    for name, value in row.items():
        if name == "id":
            continue
        if name in REFERENCES:
            value = names[REFERENCES[name]].get(value)
        elif name in snapshot.PRODUCT_REFERENCES and value is not None:
            value = sheets[value]
        found[name] = value
    return found


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=dict)


def solved_stamp(layout: Layout, scenario_id: int) -> str:
    """Return what changes with anything that is edited of a layout, its site or a scenario."""
    return _stamps([(layout, scenario_id)])[layout.pk, scenario_id]


def is_changed(run: Run) -> bool:
    """Return whether a finished run's layout, scenario, site or named products differ from what it solved."""
    now = solved_stamp(run.layout, run.scenario_id)
    if Run.objects.filter(pk=run.pk, details__solved_in=now).exists():
        return False
    return _differs(run.id, run.layout, run.scenario_id, now)


def stamp_if_unchanged(run: Run) -> str:
    """Return the stamp of what a run has solved, empty where that has been edited while it ran."""
    layout = Layout.objects.select_related("site").filter(pk=run.layout_id).first()
    if layout is None:
        return ""
    now = solved_stamp(layout, run.scenario_id)  # before it is compared: a later edit has another stamp
    return "" if _compared(run.pk, layout, run.scenario_id) else now


def marked(runs: Mapping[int, Iterable[LatestRun]], layouts: Iterable[Layout]) -> dict[int, list[LatestRun]]:
    """Return the latest runs by layout, each saying whether it is of the layout as it is now.

    Takes three queries, and those of a snapshot for each run whose layout, site or scenario has been edited since.
    """
    by_id = {layout.pk: layout for layout in layouts}
    now = _stamps((by_id[pk], run.scenario_id) for pk, own in runs.items() for run in own)
    return {
        pk: [
            replace(run, changed=run.solved_in != at and _differs(run.id, by_id[pk], run.scenario_id, at))
            for run in own
            for at in (now[pk, run.scenario_id],)
        ]
        for pk, own in runs.items()
    }


def _stamps(asked: Iterable[tuple[Layout, int]]) -> dict[tuple[int, int], str]:
    asked = list(asked)
    if not asked:
        return {}
    wanted = {scenario_id for _, scenario_id in asked}
    said: dict[int, list[Any]] = {row["id"]: [row] for row in Scenario.objects.filter(pk__in=wanted).values()}
    for row in ScenarioWorkload.objects.filter(scenario_id__in=wanted).order_by("id").values():
        said[row["scenario_id"]].append(row)
    products = product_stamp()
    return {
        (layout.pk, scenario_id): hashlib.sha256(
            repr((stamp(layout, products), said.get(scenario_id))).encode()
        ).hexdigest()
        for layout, scenario_id in asked
    }


def _differs(run_id: UUID, layout: Layout, scenario_id: int, now: str) -> bool:
    return remembered(("changed since", run_id, now), lambda: _compared(run_id, layout, scenario_id))


def _compared(run_id: UUID, layout: Layout, scenario_id: int) -> bool:
    scenario = Scenario.objects.select_related("weather").filter(pk=scenario_id).first()
    run = Run.objects.only("inputs", "finished_at").filter(pk=run_id).first()
    if run is None or scenario is None:
        return True
    if run.inputs is None:  # nothing to compare with: by time
        return run.finished_at is not None and layout.updated_at > run.finished_at
    try:
        then = snapshot.with_ratings(snapshot.unpacked(run.inputs))
        known = _known(then)
        return described(snapshot.inputs_now(layout, scenario), known) != described(layout_inputs(then), known)
    except (CannotSimulate, ValueError, LookupError):
        return True  # nothing could be solved now, or the snapshot is too old to be read
