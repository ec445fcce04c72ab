"""An advice's set points as files that other systems read. Nothing is sent: whoever runs the plant sets them."""

import csv
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.http import HttpResponse

from facility.models import Site
from twin.core.figures_of_merit import BY_NAME
from twin.models import Study, TelemetryPoint

INTEGRATION = "ai-factory-twin"  # who writes, as topics of the exchange name it
REQUEST = "LiquidTemperatureSpRequest"  # the one set-point request of DSX Exchange BMS 1.0.0, in degC
REQUESTED = {"secondary_supply_degc": "CDU", "liquid_supply_degc": "GenericObject"}  # its object type, by parameter
PUBLISHED = "BMS/v1/PUB/Value/"
COLUMNS = (
    "order",
    "object",
    "parameter",
    "from",
    "to",
    "unit",
    "figure",
    "gain",
    "gain_low",
    "gain_high",
    "gain_unit",
    "note",
)

GAIN_COLUMNS = (
    "day",
    "hours",
    "measured_w",
    "old_w",
    "promised_w",
    "output_tokens_per_s",
    "gain_w",
    "gain_low_w",
    "gain_high_w",
    "promised_gain_w",
    "gain_tokens_per_joule",
    "gain_low_tokens_per_joule",
    "gain_high_tokens_per_joule",
    "promised_gain_tokens_per_joule",
    "verdict",
)


def set_points_csv(advice: Mapping[str, Any], unit: str) -> str:
    """Return an advice as CSV, a line for each object that takes a value, in the order in which they were judged.

    Parameters
    ----------
    advice : mapping
        As `Advice.as_json` gives it.
    unit : str
        Of its figure.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for order, row in enumerate(advice["advice"], 1):
        gain = row["gain"][advice["figure"]]
        for name in row["objects"]:
            writer.writerow(
                [
                    order,
                    name,
                    row["parameter"],
                    row["from"],
                    row["to"],
                    row["unit"],
                    advice["figure"],
                    gain["value"],
                    gain["low"],
                    gain["high"],
                    unit,
                    row["note"],
                ]
            )
    return out.getvalue()


def set_point_requests(site: Site, advice: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return an advice as requests of DSX Exchange BMS, topic and payload a line, and what that cannot say.

    A point that the site has by its topic lends its path; others get site and object.
    """
    known = dict(TelemetryPoint.objects.filter(site=site, name__startswith=PUBLISHED).values_list("object", "name"))
    at_ms, lines, left_out = round(time.time() * 1e3), [], []
    for row in advice["advice"]:
        kind = REQUESTED.get(row["parameter"])
        if kind is None:
            left_out.append(f"{row['object']} {row['parameter']}: the exchange has no set-point request of it")
            continue
        for name in row["objects"]:
            topic = f"BMS/v1/{INTEGRATION}/Value/{kind}/{REQUEST}/{_tag_path(site, name, known)}"
            payload = {"value": row["to"], "timestamp": at_ms, "quality": 1}
            lines.append(json.dumps({"topic": topic, "payload": payload}, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines), left_out


def _tag_path(site: Site, name: str, known: Mapping[str, str]) -> str:
    if name in known:
        return known[name].removeprefix(PUBLISHED).split("/", 2)[-1]
    return "/".join([site.slug, *(part.translate(str.maketrans("+#", "--")) for part in name.split("/"))])


def set_points_file(study: Study) -> HttpResponse:
    """Return a done advice as a CSV file to save."""
    return _saved(set_points_csv(study.result, BY_NAME[study.figure].unit), "text/csv", f"set-points-{study.id}.csv")


def requests_file(study: Study) -> HttpResponse:
    """Return what DSX Exchange BMS can request of a done advice as a file to save."""
    requests, _ = set_point_requests(study.layout.site, study.result)
    return _saved(requests, "application/x-ndjson", f"set-point-requests-{study.id}.jsonl")


def gain_csv(gain: Mapping[str, Any]) -> str:
    """Return a measured gain as CSV: a line for each day, then one for the whole time after the change.

    Parameters
    ----------
    gain : mapping
        As `Gain.as_json` gives it.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(GAIN_COLUMNS)
    for day in gain["days"]:
        tokens = day["output_tokens_per_s"]
        writer.writerow(
            [
                day["day"],
                day["hours"],
                *(day[name] for name in ("measured_w", "old_w", "promised_w")),
                tokens,
                day["measured_w"] - day["old_w"],
                "",
                "",
                day["promised_w"] - day["old_w"],
                tokens / day["measured_w"] - tokens / day["old_w"],
                "",
                "",
                tokens / day["promised_w"] - tokens / day["old_w"],
                "",
            ]
        )
    power, tokens = (gain["figures"].get(name) for name in ("mean_power_w", "tokens_per_joule"))
    whole: list[Any] = ["all", gain["hours_after"], *[""] * 12, gain["verdict"] or f"{gain['state']}: {gain['reason']}"]
    if power and tokens:
        whole[2:6] = (
            power["after"],
            power["before"],
            power["before"] + power["promised"]["value"],
            (tokens["after"] * power["after"]),
        )
        for start, figure in ((6, power), (10, tokens)):
            measured = figure["measured"]
            whole[start : start + 4] = measured["value"], measured["low"], measured["high"], figure["promised"]["value"]
    writer.writerow(whole)
    return out.getvalue()


def gain_file(study: Study) -> HttpResponse:
    """Return a measured gain as a CSV file to save."""
    return _saved(gain_csv(study.result), "text/csv", f"gain-{study.id}.csv")


def gain_lines(gain: Mapping[str, Any]) -> Iterator[str]:
    """Yield a measured gain as lines of text."""
    yield f"{gain['state']}{': ' if gain['reason'] else ''}{gain['reason']}"
    before, after = gain["hours_before"], gain["hours_after"]
    yield f"taken on {gain['taken_at']}; {before:.0f} h before and {after:.0f} h after it have readings"
    if not gain["figures"]:
        return
    yield f"load from {gain['load_from']}, weather {gain['weather_from']}; {gain['verdict']}"
    for name, figure in gain["figures"].items():
        unit, measured, promised = BY_NAME[name].unit, figure["measured"], figure["promised"]
        yield (
            f"{name:18} measured {measured['value']:+.4g} {unit} ({measured['low']:+.4g} to {measured['high']:+.4g}),"
            f" promised {promised['value']:+.4g} ({promised['low']:+.4g} to {promised['high']:+.4g})"
        )
    yield from gain["notes"]


def _saved(text: str, content_type: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type=f"{content_type}; charset=utf-8", headers=headers)


def advice_lines(advice: Mapping[str, Any], unit: str) -> Iterator[str]:
    """Yield an advice as lines of text."""
    figure = advice["figure"]
    for row in advice["advice"]:
        gain = row["gain"][figure]
        also = f" and {len(row['objects']) - 1} more" if len(row["objects"]) > 1 else ""
        yield (
            f"{row['object']}{also} {row['parameter']} {row['from']:.5g} to {row['to']:.5g} {_unit(row['unit'])}: "
            f"{figure} {gain['value']:+.4g} {unit} ({gain['low']:+.4g} to {gain['high']:+.4g})"
        )
        if row["note"]:
            yield f"    {row['note']}"
        yield f"    then: {row['worst_failure']['text']} Left: {margins_text(row['margins_after'][:3])}"
    if not advice["advice"]:
        yield f"no set point raises {figure} inside the limits"
    for row in advice["refused"]:
        better = "" if row["gain_frac"] is None else f" to {row['to']:.5g} {_unit(row['unit'])}"
        yield f"not advised: {row['object']} {row['parameter']}{better}: {row['reason']}"


def margins_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return margins in words."""
    return ", ".join(
        f"{row['value']:.0%} of {row['kind']} ({row['object']})"
        if row["unit"] == "%"
        else f"{row['value']:.3g} {row['unit']} of {row['kind']} ({row['object']})"
        for row in rows
    )


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit
