"""Whether a run solved what its layout and scenario describe now: one rule for every page, report and program.

The descriptions are compared, not the times of edits: a change and its undo leave nothing to mark. Names of layout,
site and scenario do not count; names of parts do: results name them, and racks are shared out in their order. Of the
catalogue the entries count that rows name, those that these name in turn (a system its accelerator, a use case its
models) and those that every run reads. A layout without edits since its run is known by a stamp; of others both
descriptions are read: a run's once, the present one once for each edit.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

from facility.models import Layout
from twin.core.failures.kinds import FAILURE_KINDS, FEED_RELIABILITY, RESTART, WATER_COOLED_CHILLER, feed_reliability
from twin.core.inputs.feed_ratings import PRIME, prime_feeds
from twin.core.inputs.layout import TABLE_OF, TABLES, LayoutInputs, Products, column_names, layout_inputs
from twin.core.results.capital import US_ROW
from twin.exceptions import CannotSimulate
from twin.models import Run, Scenario, ScenarioWorkload
from twin.page_parts import WEATHER_COUNTS, hours_check, product_stamp, remembered, stamp
from twin.runs import snapshot
from twin.runs.latest import LatestRun

CACHE = "descriptions"
KINDS = column_names(Products)  # of catalogue entries
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
    sheets = {
        key: _digest((sheet.kind, sheet.slug, _number(sheet.facts))) for key, sheet in inputs.products.by_id.items()
    }
    body: dict[str, Any] = {
        table: sorted((_named(row, names, sheets) for row in found), key=_spelled) for table, found in rows.items()
    }
    for part, skipped in (("site", NAMES), ("layout", (*NAMES, *LAYOUT_COUNTS)), ("weather", NAMES)):
        body[part] = _plain(getattr(inputs, part), known.get(part), (*skipped, "region", "assumed"))
    body["region"] = (inputs.site.region.slug, _number(inputs.site.region.facts))
    body["scenario"] = _plain(inputs.scenario, known.get("scenario"), (*NAMES, "workloads"))
    body["workloads"] = [
        _plain(share, known.get("workloads"), ("workload",))
        | {"workload": (share.workload.slug, _number(share.workload.facts))}
        for share in inputs.scenario.workloads
    ]
    body["products"] = {
        kind: {slug: _number(entries[slug].facts) for slug in sorted(slugs & entries.keys())}
        for kind, slugs in _reached(inputs).items()
        if kind in known.get("products", KINDS)
        for entries in (getattr(inputs.products, kind),)
    }
    return _digest(body)


def _reached(inputs: LayoutInputs) -> dict[str, set[str]]:
    """Return, of the kinds that a snapshot holds whole, the entries that its solution reads, by kind."""
    products = inputs.products
    chips = {str(sheet.facts.get("accelerator")) for sheet in products.by_id.values()}
    shares = inputs.scenario.workloads
    models = [(share.model,) if share.model else share.workload.facts.get("recommended_models", ()) for share in shares]
    return {
        "accelerators": chips,
        "gpu_rental": chips,
        "models": {str(model) for named in models for model in named},
        "diurnal_shapes": {str(share.workload.facts.get("diurnal_shape")) for share in shares},
        "fuels": {str(inputs.facts(feed.product_id).get("fuel")) for feed in prime_feeds(inputs.feeds)},
        "facility_capex": {str(inputs.site.region.facts.get("facility_capex")), US_ROW},
        "reliability": _failing(inputs),
        "recovery_times": {RESTART},
        "compute_failures": {*products.compute_failures},
        "finance": {*products.finance},
    }


def _failing(inputs: LayoutInputs) -> set[str]:
    """Return the entries of reliability of whatever stands there: of plants those of every kind that one may have."""
    found = {
        feed_reliability(feed.kind, feed.operation == PRIME, inputs.facts(feed.product_id).get("prime_mover"))
        for feed in inputs.feeds
    }
    for kind in FAILURE_KINDS:
        rows = getattr(inputs, kind.table)
        if kind.reliability and any(not kind.count or getattr(row, kind.count) for row in rows):
            found |= {kind.reliability, WATER_COOLED_CHILLER} if kind.address == "chiller" else {kind.reliability}
    return found | {FEED_RELIABILITY["utility"]}


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
    """Return whole numbers as the one kind of number, in facts too: a form, a file and a database give either."""
    if isinstance(value, Mapping):
        return {name: _number(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_number(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _known(stored: Mapping[str, Any]) -> Known:
    """Return which columns a stored snapshot has."""
    tables = {name: frozenset(rows[0]) for name in TABLES if (rows := stored.get(name))}
    whole = {name: frozenset(stored[name]) for name in ("site", "layout", "scenario", "weather")}
    more = {"workloads": frozenset(stored["scenario"]["workloads"][0]), "products": frozenset(stored["products"])}
    return tables | whole | more


def _named(row: Mapping[str, Any], names: Mapping[str, Mapping[int, str]], sheets: Mapping[int, Any]) -> dict[str, Any]:
    """Return a row with the names of what it refers to, and what its products say, in the place of ids."""
    found = {}
    for name, value in row.items():
        if name == "id":
            continue
        if name in TABLE_OF:
            value = names[TABLE_OF[name]].get(value)
        elif name in snapshot.PRODUCT_REFERENCES and value is not None:
            value = sheets[value]
        found[name] = value
    return found


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=dict)


def _digest(value: Any) -> str:
    return hashlib.sha256(_spelled(value).encode()).hexdigest()


def solved_stamp(layout: Layout, scenario_id: int) -> str:
    """Return what changes with anything that is edited of a layout, its site or a scenario."""
    return _stamps([(layout, scenario_id)])[layout.pk, scenario_id]


def is_changed(run: Run) -> bool:
    """Return whether a finished run's layout, scenario, site or named products differ from what it solved."""
    now = solved_stamp(run.layout, run.scenario_id)
    if Run.objects.filter(pk=run.pk, details__solved_in=now).exists():
        return False
    return _differs(run.id, run.layout, run.scenario_id, now)


def stamp_if_unchanged(run: Run, read_at: str = "") -> str:
    """Return the stamp of what a run has solved, empty where that has been edited while it ran.

    Parameters
    ----------
    run : Run
    read_at : str
        The stamp from before its description was read; without it, or where it is another one now, both descriptions
        are compared.
    """
    layout = Layout.objects.select_related("site").filter(pk=run.layout_id).first()
    if layout is None:
        return ""
    now = solved_stamp(layout, run.scenario_id)  # before it is compared: a later edit has another stamp
    return now if now == read_at or not _differs(run.pk, layout, run.scenario_id, now) else ""


def marked(runs: Mapping[int, Iterable[LatestRun]], layouts: Iterable[Layout]) -> dict[int, list[LatestRun]]:
    """Return the latest runs by layout, each saying whether it is of the layout as it is now.

    Takes three queries, and where a layout, site or scenario has been edited since those of its snapshot, once for each
    edit, and of its run's, once.
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
    columns = [column.attname for column in Scenario._meta.concrete_fields]
    years = [f"{year}__{name}" for year in ("weather", "site__weather") for name in WEATHER_COUNTS]
    checks = {f"{year}_check": hours_check(year) for year in ("weather", "site__weather")}
    rows = Scenario.objects.filter(pk__in=wanted).values(*columns, *years, **checks)
    # Some databases return a view of bytes, which says where they lie, not what they are.
    described: dict[int, list[Any]] = {
        row["id"]: [{name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}]
        for row in rows
    }
    for row in ScenarioWorkload.objects.filter(scenario_id__in=wanted).order_by("id").values():
        described[row["scenario_id"]].append(row)
    products = product_stamp()
    return {
        (layout.pk, scenario_id): hashlib.sha256(
            repr((stamp(layout, products), described.get(scenario_id))).encode()
        ).hexdigest()
        for layout, scenario_id in asked
    }


def _differs(run_id: UUID, layout: Layout, scenario_id: int, now: str) -> bool:
    """Return whether what a run solved is not what is described `now`, which is the stamp of layout and scenario."""
    solved = remembered(("solved", run_id), lambda: _solved(run_id), CACHE)
    if solved is None:  # nothing to compare with: by time
        run = Run.objects.only("finished_at").filter(pk=run_id).first()
        return run is None or (run.finished_at is not None and layout.updated_at > run.finished_at)
    digest, known = solved
    asked = ("described", layout.pk, scenario_id, now, sorted((part, sorted(names)) for part, names in known.items()))
    return digest != remembered(asked, lambda: _described_now(layout, scenario_id, known), CACHE)


def _solved(run_id: UUID) -> tuple[str, Known] | None:
    """Return the digest of what a run solved and the columns that its snapshot has; None where it kept none."""
    run = Run.objects.only("inputs").filter(pk=run_id).first()
    if run is None or run.inputs is None:
        return None
    try:
        then = snapshot.with_ratings(snapshot.unpacked(run.inputs))
        known = _known(then)
        return described(layout_inputs(then), known), known
    except (ValueError, LookupError):
        return "too old to be read", {}


def _described_now(layout: Layout, scenario_id: int, known: Known) -> str:
    scenario = Scenario.objects.select_related("weather").filter(pk=scenario_id).first()
    try:
        return described(snapshot.inputs_now(layout, scenario), known) if scenario else "gone"
    except (CannotSimulate, ValueError, LookupError):
        return "cannot be solved"
