"""The whole site file: what the facility describes, and the scenarios put to it."""

from typing import Any

from django.db import transaction

from facility.interchange import documents
from facility.interchange.documents import Line, SiteFileError, listing, mapping, number, text
from facility.interchange.site_file import described, site_document, site_load
from facility.models import CalibratedParameter, Product, Site, Weather
from facility.models.text import check_text
from twin.core.inputs.parameters import refusal, truth_named
from twin.models import Scenario, ScenarioWorkload

SCENARIO_FIELDS = (
    "slug",
    "name",
    "notes",
    "is_default",
    "weather",
    "engine",
    "engine_version",
    "weight_precision",
    "kv_precision",
    "admission",
    "accelerator_power_limit_w",
    "cache_tier_bytes",
    "electricity_usd_per_kwh",
    "fuel_usd_per_kwh",
    "serving_mode",
    "allow_pipelines",
    "max_ranks",
    "allow_drafts",
    "draft_tokens",
    "draft_acceptance_frac",
    "workloads",
)
OPTIONAL_NUMBERS = (
    "accelerator_power_limit_w",
    "cache_tier_bytes",
    "electricity_usd_per_kwh",
    "fuel_usd_per_kwh",
    "draft_acceptance_frac",
)
OPTIONAL_COUNTS = ("max_ranks", "draft_tokens")
WORKLOAD_FIELDS = (
    "workload",
    "model",
    "checkpoint",
    "configuration",
    "accelerator_share_frac",
    "requests_per_s",
    "peak_load_frac",
    "tool_core_s",
)


def site_export(*, site: Site) -> str:
    """Return a site with layouts and scenarios as YAML; the same description always gives the same bytes."""
    document = site_document(site)
    scenarios = site.scenarios.select_related("weather").prefetch_related("workloads__workload", "workloads__model")
    document["scenarios"] = [_scenario_document(scenario) for scenario in scenarios.order_by("slug")]
    return documents.write(document)


def _scenario_document(scenario: Scenario) -> dict[str, Any]:
    found: dict[str, Any] = {"slug": scenario.slug, "name": scenario.name}
    if scenario.notes:
        found["notes"] = scenario.notes
    if scenario.is_default:
        found["is_default"] = True
    if scenario.weather_id:
        found["weather"] = scenario.weather.slug
    found |= {
        "engine": scenario.engine,
        "weight_precision": scenario.weight_precision,
        "admission": scenario.admission,
    }
    for name in OPTIONAL_NUMBERS:
        if getattr(scenario, name) is not None:
            found[name] = float(getattr(scenario, name))
    if scenario.serving_mode != "any":
        found["serving_mode"] = scenario.serving_mode
    if not scenario.allow_pipelines:
        found["allow_pipelines"] = False
    if scenario.kv_precision != "auto":
        found["kv_precision"] = scenario.kv_precision
    if scenario.engine_version:
        found["engine_version"] = scenario.engine_version
    if scenario.allow_drafts:
        found["allow_drafts"] = True
    for name in OPTIONAL_COUNTS:
        if getattr(scenario, name) is not None:
            found[name] = getattr(scenario, name)
    found["workloads"] = [
        Line(
            {"workload": share.workload.slug}
            | ({"model": share.model.slug} if share.model_id else {})
            | ({"checkpoint": share.checkpoint} if share.checkpoint else {})
            | ({"configuration": share.configuration} if share.configuration else {})
            | {"accelerator_share_frac": float(share.accelerator_share_frac)}
            | ({} if share.requests_per_s is None else {"requests_per_s": float(share.requests_per_s)})
            | {"peak_load_frac": float(share.peak_load_frac)}
            | ({} if share.tool_core_s is None else {"tool_core_s": float(share.tool_core_s)})
        )
        for share in sorted(scenario.workloads.all(), key=lambda share: share.pk)
    ]
    return found


def scenario_copy(scenario: Scenario, site: Site) -> None:
    """Give another site a scenario of the same question, in the site's own weather."""
    entry = _scenario_document(scenario)
    entry.pop("weather", None)
    _scenario_load(site, scenario.slug, entry)


@transaction.atomic
def site_import(*, content: bytes | str, replace: bool = False, user=None) -> Site:
    """Create the site in a file, or with `replace` bring an existing one to the file's state.

    Raises
    ------
    SiteFileError
        If anything is wrong; names object, field, value and what is allowed. Nothing has been changed then.
    """
    document = documents.read(content)
    scenarios = listing(document.pop("scenarios", None), "scenarios")
    site = site_load(document, replace=replace, user=user)
    _check_calibrated(site)
    slugs = [_slug(entry, i) for i, entry in enumerate(scenarios)]
    if len(set(slugs)) < len(slugs):
        raise SiteFileError(f"scenarios: slug {max(slugs, key=slugs.count)!r} is given twice; each must be unique.")
    defaults = [slug for slug, entry in zip(slugs, scenarios, strict=True) if entry.get("is_default") is True]
    if len(defaults) > 1:
        raise SiteFileError(f"scenarios: {' and '.join(defaults)} have is_default: true; one at most may.")
    if replace:
        site.scenarios.exclude(slug__in=slugs).delete()
    for slug, entry in zip(slugs, scenarios, strict=True):
        _scenario_load(site, slug, mapping(entry, f"scenarios[{slug}]", SCENARIO_FIELDS))
    return site


def _check_calibrated(site: Site) -> None:
    """Raise for a calibrated parameter that no solver could apply."""
    for row in CalibratedParameter.objects.filter(layout__site=site).select_related("layout"):
        where = f"layouts[{row.layout.slug}].calibrated_parameters[{row.name}]"
        if wrong := refusal(truth_named(row.name, row.value)):
            raise SiteFileError(f"{where} {wrong}.")
        if not row.low <= row.value <= row.high:
            raise SiteFileError(
                f"{where} has low {row.low:g} and high {row.high:g}; its value {row.value:g} must lie between."
            )


def _slug(entry: Any, i: int) -> str:
    return text(mapping(entry, f"scenarios[{i}]", SCENARIO_FIELDS).get("slug"), f"scenarios[{i}].slug")


def _scenario_load(site: Site, slug: str, entry: dict[str, Any]) -> None:
    where = f"scenarios[{slug}]"
    scenario = Scenario.objects.filter(site=site, slug=slug).first() or Scenario(site=site, slug=slug)
    scenario.name = text(entry.get("name"), f"{where}.name")
    for name in ("notes", "engine", "engine_version", "weight_precision", "kv_precision", "serving_mode", "admission"):
        default = Scenario._meta.get_field(name).get_default()
        setattr(scenario, name, default if entry.get(name) is None else text(entry[name], f"{where}.{name}"))
    for name in OPTIONAL_NUMBERS:
        setattr(scenario, name, None if entry.get(name) is None else number(entry[name], f"{where}.{name}"))
    scenario.is_default = _yes_or_no(entry, "is_default", where, default=False)
    scenario.allow_pipelines = _yes_or_no(entry, "allow_pipelines", where, default=True)
    scenario.allow_drafts = _yes_or_no(entry, "allow_drafts", where, default=False)
    for name in OPTIONAL_COUNTS:
        setattr(scenario, name, None)
        if entry.get(name) is not None:
            count = number(entry[name], f"{where}.{name}")
            if count != int(count):
                raise SiteFileError(f"{where}.{name} is {count:g}; must be a whole number.")
            setattr(scenario, name, int(count))
    scenario.weather = None
    if entry.get("weather") is not None:
        named = text(entry["weather"], f"{where}.weather")
        usable = Weather.objects.filter(site=None) | Weather.objects.filter(site=site)
        scenario.weather = usable.filter(slug=named).first()
        if scenario.weather is None:
            known = ", ".join(sorted(usable.values_list("slug", flat=True)))
            raise SiteFileError(f"{where}.weather is {named!r}; must be one of {known}.")
    with described(where):
        check_text(scenario)
        scenario.full_clean()
    scenario.save()
    scenario.workloads.all().delete()
    shares = listing(entry.get("workloads"), f"{where}.workloads")
    for i, share in enumerate(shares):
        _share_load(scenario, mapping(share, f"{where}.workloads[{i}]", WORKLOAD_FIELDS), f"{where}.workloads[{i}]")


def _yes_or_no(entry: dict[str, Any], name: str, where: str, *, default: bool) -> bool:
    value = default if entry.get(name) is None else entry[name]
    if not isinstance(value, bool):
        raise SiteFileError(f"{where}.{name} is {value!r}; must be true or false.")
    return value


def _share_load(scenario: Scenario, entry: dict[str, Any], where: str) -> None:
    share = ScenarioWorkload(
        scenario=scenario,
        workload=_product(entry.get("workload"), "workloads", f"{where}.workload"),
        model=None if entry.get("model") is None else _product(entry["model"], "models", f"{where}.model"),
    )
    for name in ("configuration", "checkpoint"):
        if entry.get(name) is not None:
            setattr(share, name, text(entry[name], f"{where}.{name}"))
    for name in ("accelerator_share_frac", "requests_per_s", "peak_load_frac", "tool_core_s"):
        if entry.get(name) is not None:
            setattr(share, name, number(entry[name], f"{where}.{name}"))
    with described(where):
        share.full_clean()
    share.save()


def _product(named: Any, kind: str, where: str) -> Product:
    found = Product.objects.filter(kind=kind, slug=text(named, where)).first()
    if found is None:
        known = ", ".join(Product.objects.filter(kind=kind).order_by("slug").values_list("slug", flat=True))
        raise SiteFileError(f"{where} is {named!r}; must be one of {known}.")
    return found
