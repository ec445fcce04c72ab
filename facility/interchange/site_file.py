"""A site with its layouts as one YAML document, and back.

Writing is stable: the same description always gives the same bytes, so that files can live in version control. Values
that are the model's default are left out. Reading checks everything before it keeps anything; unknown keys are refused.
References are names: products by their catalogue id, everything else by its name within the layout.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import models, transaction

from facility import kinds, services
from facility.floor_plan import Footprint, check_place, overlapping_pairs
from facility.interchange.documents import Line, SiteFileError, flag, listing, mapping, number, text, whole
from facility.models import (
    AirUnit,
    CalibratedParameter,
    Cdu,
    CoolingPlant,
    CpuServer,
    Fabric,
    FloorFeature,
    Hall,
    Layout,
    PowerFeed,
    Product,
    Rack,
    Site,
    Storage,
    Weather,
)
from facility.models.text import check_text
from facility.permissions import check_status, check_write, visible_sites
from facility.weather import WeatherError, Year, checked, unpack_checked
from power_cooling.site_facts import weather as weather_hours

FORMAT = "ai-factory-site/1"
SITE_FIELDS = (
    "slug",
    "name",
    "place",
    "latitude_deg",
    "longitude_deg",
    "elevation_m",
    "weather",
    "region",
    "grid_limit_w",
    "repair_crews",
    "notes",
)
WEATHER_FIELDS = (
    "slug",
    "name",
    "source",
    "latitude_deg",
    "longitude_deg",
    "elevation_m",
    "utc_offset_h",
    "n_hours",
    "notes",
    "rows",
)
LAYOUT_FIELDS = (
    "slug",
    "name",
    "status",
    "notes",
    "design_hour",
    "design_dry_bulb_degc",
    "design_wet_bulb_degc",
    "cloned_from",
)
RACK_FIELDS = kinds.columns(Rack)
# What one file may hold in all: ten times the largest campus that is drawn today, and read in some 10 s.
MAX_RACKS, MAX_PARTS, MAX_LAYOUTS, MAX_YEARS = 20_000, 4_000, 50, 20
# A row stands for equal racks; files that people write use it, the export always writes the racks.
ROW_FIELDS = (*RACK_FIELDS, "n_racks", "first", "pitch_m")
PARTS = (
    *((kind.plural, kind.model, kinds.columns(kind.model)) for kind in kinds.KINDS if kind.model is not Rack),
    ("calibrated_parameters", CalibratedParameter, kinds.columns(CalibratedParameter)),
)
YOUNGER_SECTIONS = (
    "air_units",
    "floor_features",
    "fabrics",
    "storages",
    "cpu_servers",
    "calibrated_parameters",
)  # left out where empty: older files stay as they are
RACK_REFERENCES = ("hall", "product", "cdu", "feed_a", "feed_b")
READERS = {
    models.FloatField: number,
    models.IntegerField: whole,
    models.CharField: text,
    models.TextField: text,
    models.BooleanField: flag,
}


def site_document(site: Site, *, only: Layout | None = None) -> dict[str, Any]:
    """Return a site and its layouts, or one of them, as plain data for `documents.write`; sorted by name."""
    ids = _product_ids()
    document: dict[str, Any] = {"format": FORMAT, "site": _written(site, SITE_FIELDS, ids)}
    own = [_written(weather, WEATHER_FIELDS, ids) for weather in site.own_weather.order_by("slug")]
    if own:
        document["own_weather"] = own
    layouts = site.layouts.select_related("cloned_from").order_by("slug")
    document["layouts"] = [_layout_document(layout, ids) for layout in layouts if only in (None, layout)]
    if only is not None:
        document["layouts"][0].pop("cloned_from", None)  # the file would not hold it
    return document


def _layout_document(layout: Layout, ids: dict[int, str]) -> dict[str, Any]:
    document = _written(layout, LAYOUT_FIELDS, ids)
    for section, model, fields in PARTS:
        rows = model.objects.filter(layout=layout).order_by("name")
        if section == "power_feeds":
            rows = _from_the_source(rows.select_related("parent", "hall"))
        elif model is not CoolingPlant:
            rows = rows.select_related(*(name for name in ("plant", "hall") if name in fields))
        written = [Line(_written(row, fields, ids)) for row in rows]
        if written or section not in YOUNGER_SECTIONS:
            document[section] = written
    racks = Rack.objects.filter(hall__layout=layout).select_related("hall", "cdu", "feed_a", "feed_b")
    document["racks"] = [Line(_written(rack, RACK_FIELDS, ids)) for rack in racks.order_by("hall__name", "row", "name")]
    return document


def _from_the_source(feeds) -> Iterator[PowerFeed]:
    """Yield feeds so that each comes after its parent, by name among equals."""
    below: dict[int | None, list[PowerFeed]] = {}
    for feed in feeds:
        below.setdefault(feed.parent_id, []).append(feed)
    stack = below.get(None, [])[::-1]
    while stack:
        feed = stack.pop()
        yield feed
        stack += below.get(feed.pk, [])[::-1]


def _product_ids() -> dict[int, str]:
    """Return how each product is named in files: its id, with its kind where two kinds share the id."""
    rows = list(Product.objects.values_list("pk", "kind", "slug"))
    slugs = [slug for _, _, slug in rows]
    return {pk: slug if slugs.count(slug) == 1 else f"{kind}/{slug}" for pk, kind, slug in rows}


def _written(row: models.Model, fields: tuple[str, ...], ids: dict[int, str]) -> dict[str, Any]:
    """Return the fields of a row that differ from their defaults."""
    found: dict[str, Any] = {}
    for name in fields:
        field = row._meta.get_field(name)
        if isinstance(field, models.ForeignKey):
            key = getattr(row, field.attname)
            if key is None:
                continue
            if field.related_model is Product:
                found[name] = ids[key]
            else:
                found[name] = getattr(getattr(row, name), "name" if name not in ("weather", "cloned_from") else "slug")
        elif isinstance(field, models.BinaryField):
            found[name] = base64.b64encode(bytes(getattr(row, name))).decode()
        else:
            value = getattr(row, name)
            default = field.default if field.has_default() else "" if field.blank else None
            if name == "name" or value not in (None, default):
                found[name] = float(value) if isinstance(field, models.FloatField) else _plain(value)
    return found


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value  # TextChoices members are no plain str for YAML


@transaction.atomic
def site_load(document: dict[str, Any], *, replace: bool = False, user=None) -> Site:
    """Create the site in a document that `documents.read` returned, or bring an existing one to its state.

    Parameters
    ----------
    document : dict
        Exactly the keys of the format; sections of other programs are taken out before.
    replace : bool
        Allow that a site of the same slug exists. Its layouts of the same slug keep their runs and are refilled; its
        other layouts are deleted with their runs. One that is no longer proposed has to stand in the file as it is.
    user : User, optional
        Becomes owner of a new site.

    Raises
    ------
    SiteFileError
        If anything is wrong; names object, field, value and what is allowed. Nothing has been changed then.
    """
    mapping(document, "The file", ("format", "site", "own_weather", "layouts"))
    if document.get("format") != FORMAT:
        raise SiteFileError(f"format is {document.get('format')!r}; must be {FORMAT!r}.")
    catalogue = _Catalogue()
    site = _site(document, catalogue, replace=replace, user=user)
    entries = listing(document.get("layouts"), "layouts")
    _check_counts(document, entries)
    slugs = _unique(entries, "layouts", "slug")
    if replace:
        for left_out in site.layouts.exclude(slug__in=slugs):
            with described(f"layouts has no {left_out.slug}"):
                services.layout_delete(layout=left_out, user=user)
    present = {layout.slug: layout for layout in site.layouts.all()}
    origins: dict[str, str] = {}
    ids = _product_ids()
    for slug, entry in zip(slugs, entries, strict=True):
        where = f"layouts[{slug}]"
        sections = (*LAYOUT_FIELDS, *(section for section, *_ in PARTS), "racks", "rows")
        mapping(entry, where, sections)
        layout = present.get(slug) or Layout(site=site)
        if layout.pk and layout.is_frozen and entry == _layout_document(layout, ids):
            continue  # it stays as it is
        origin = entry.get("cloned_from")
        if origin is not None:
            origins[slug] = text(origin, f"{where}.cloned_from")
        status = layout.status
        _set(layout, {name: entry[name] for name in LAYOUT_FIELDS[:-1] if name in entry}, where, LAYOUT_FIELDS[:-1])
        check_status(user, site, status, layout.status)
        layout.cloned_from = None
        with described(where):
            check_text(layout)
            layout.full_clean()
        if layout.pk:
            with described(where):
                services.layout_bump(layout=layout)
            Rack.objects.filter(hall__layout=layout).delete()
            for model in (Cdu, PowerFeed, Hall, CoolingPlant, Fabric, Storage, CpuServer, CalibratedParameter):
                model.objects.filter(layout=layout).delete()
        layout.save()
        _fill(layout, entry, where, catalogue)
    made = {layout.slug: layout for layout in site.layouts.all()}
    for slug, origin in origins.items():
        if origin not in made:
            raise SiteFileError(f"layouts[{slug}].cloned_from is {origin!r}; must be one of {', '.join(sorted(made))}.")
        Layout.objects.filter(pk=made[slug].pk).update(cloned_from=made[origin])
    return site


@transaction.atomic
def layout_load(site: Site, entry: dict[str, Any], *, user=None) -> Layout:
    """Add a layout that stands as `site_document` writes one to a site that has none of its slug.

    Raises
    ------
    SiteFileError
        If anything is wrong; names object, field, value and what is allowed. Nothing has been changed then.
    """
    check_write(user, site)
    where = f"layouts[{entry.get('slug')}]"
    _check_counts({}, [entry])
    layout = Layout(site=site)
    _set(layout, entry, where, LAYOUT_FIELDS[:-1])
    check_status(user, site, Layout.Status.PROPOSED, layout.status)
    with described(where):
        check_text(layout)
        layout.full_clean()
    layout.save()
    _fill(layout, entry, where, _Catalogue())
    return layout


def _check_counts(document: dict[str, Any], layouts: list[Any]) -> None:
    """Refuse a file that holds more than can be checked in a bounded time."""
    sections = [entry for entry in layouts if isinstance(entry, dict)]
    rows = [row for entry in sections for row in (entry.get("rows") or []) if isinstance(row, dict)]
    sizes = [row.get("n_racks") for row in rows]
    n_racks = sum(len(entry.get("racks") or []) for entry in sections if isinstance(entry.get("racks"), list))
    n_racks += sum(size for size in sizes if isinstance(size, int))
    n_parts = sum(
        len(entry[section]) for entry in sections for section, *_ in PARTS if isinstance(entry.get(section), list)
    )
    n_years = len(document["own_weather"]) if isinstance(document.get("own_weather"), list) else 0
    for found, most, what in (
        (len(layouts), MAX_LAYOUTS, "layouts"),
        (n_racks, MAX_RACKS, "racks"),
        (n_parts, MAX_PARTS, "plants, halls, CDUs, feeds, air units and floor features"),
        (n_years, MAX_YEARS, "years of weather"),
    ):
        if found > most:
            raise SiteFileError(f"The file has {found:,} {what}; at most {most:,} are read from one file.")


class described:
    """`with described("racks[A-01]"):` turns a ValidationError into a SiteFileError that names the place."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, ValidationError):
            by_field = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
            lines = [
                f"{self.where}{'' if name == NON_FIELD_ERRORS else f'.{name}'}: {' '.join(messages)}"
                for name, messages in by_field.items()
            ]
            raise SiteFileError("\n".join(lines)) from error


class _Catalogue:
    """Products by kind and id, read once."""

    def __init__(self) -> None:
        self.by_kind: dict[str, dict[str, Product]] = {}
        for product in Product.objects.defer("notes", "source"):
            self.by_kind.setdefault(product.kind, {})[product.slug] = product

    def find(self, name: Any, kinds: Sequence[str], where: str) -> Product:
        """Return the product of one of the kinds that a file names."""
        named = text(name, where)
        kind, _, slug = named.rpartition("/")
        found = [self.by_kind[k][slug] for k in kinds if slug in self.by_kind.get(k, {}) and kind in ("", k)]
        if len(found) == 1:
            return found[0]
        if found:
            raise SiteFileError(f"{where} is {named!r}, which several kinds have; write {found[0].kind}/{slug}.")
        known = sorted(known for k in kinds for known in self.by_kind.get(k, {}))
        near = [k for k in known if k[:4] == slug[:4]] or known
        raise SiteFileError(
            f"{where} is {named!r}; must be a catalogue entry of {' or '.join(kinds)}, e.g. {', '.join(near[:5])}."
        )


def _unique(entries: list[Any], where: str, key: str) -> list[str]:
    """Return the key of each entry after checking that none appears twice."""
    names = []
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or key not in entry:
            raise SiteFileError(f"{where}[{i}] has no {key}; give it one.")
        names.append(text(entry[key], f"{where}[{i}].{key}"))
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SiteFileError(f"{where}: {key} {name!r} is given twice; each must be unique.")
        seen.add(name)
    return names


def _set(row: models.Model, entry: dict[str, Any], where: str, fields: tuple[str, ...]) -> None:
    """Put an entry's plain values on a row; fields left out get their default."""
    for name in fields:
        field = row._meta.get_field(name)
        if isinstance(field, models.ForeignKey | models.BinaryField):
            continue
        if name in entry and entry[name] is not None:
            reader = next(reader for kind, reader in READERS.items() if isinstance(field, kind))
            setattr(row, name, reader(entry[name], f"{where}.{name}"))
        elif field.has_default() or field.null or field.blank:
            setattr(row, name, field.get_default())
        else:
            raise SiteFileError(f"{where}.{name} is missing; give it: {field.help_text or field.verbose_name}")


def _site(document: dict[str, Any], catalogue: _Catalogue, *, replace: bool, user) -> Site:
    entry = mapping(document.get("site"), "site", SITE_FIELDS)
    slug = text(entry.get("slug"), "site.slug")
    site = Site.objects.filter(slug=slug).first()
    if site is not None and user is not None and not visible_sites(user).filter(pk=site.pk).exists():
        raise PermissionDenied(f"site.slug is {slug!r}, which you cannot use; take another slug.")
    if site is not None and not replace:
        raise SiteFileError(f"site.slug is {slug!r}, and that site exists; replace it on purpose or use another slug.")
    is_new = site is None
    if not is_new:
        check_write(user, site)
    site = site or Site()
    _set(site, entry, "site", SITE_FIELDS)
    site.region = catalogue.find(entry.get("region"), ["regions"], "site.region")
    own = listing(document.get("own_weather"), "own_weather")
    years = dict(zip(_unique(own, "own_weather", "slug"), own, strict=True))
    named = text(entry.get("weather"), "site.weather")
    weather = Weather.objects.filter(slug=named, site=None).first()
    if weather is None and not is_new:
        weather = Weather.objects.filter(slug=named, site=site).first()
    if weather is None and named in years:
        return _site_with_own_weather(site, years, named, user)
    if weather is None:
        shipped = Weather.objects.filter(site=None).order_by("slug").values_list("slug", flat=True)
        raise SiteFileError(
            f"site.weather is {named!r}; must be one of {', '.join(shipped)}, or come with the file as own_weather."
        )
    site.weather = weather
    _save_site(site, user)
    for year in years.values():
        _weather(year, site)
    return site


def _site_with_own_weather(site: Site, years: dict[str, Any], named: str, user) -> Site:
    """Save a site whose weather belongs to it: the weather first without its site, then both point at each other."""
    site.weather = _weather(years[named], None)
    _save_site(site, user)
    site.weather.site = site
    site.weather.save(update_fields=["site"])
    for slug, year in years.items():
        if slug != named:
            _weather(year, site)
    return site


def _save_site(site: Site, user) -> None:
    with described("site"):
        if site.pk:
            services.site_update(site=site, user=user)
        else:
            services.site_create(site=site, user=user)


def _weather(entry: dict[str, Any], site: Site | None) -> Weather:
    where = f"own_weather[{entry['slug']}]"
    mapping(entry, where, WEATHER_FIELDS)
    weather = Weather.objects.filter(slug=entry["slug"]).first()
    if weather is not None and (site is None or weather.site_id != site.pk):
        raise SiteFileError(f"{where}.slug is taken by weather of another site; rename it.")
    weather = weather or Weather()
    _set(weather, entry, where, WEATHER_FIELDS)
    try:
        packed = base64.b64decode(text(entry.get("rows"), f"{where}.rows"), validate=True)
        hours = unpack_checked(packed, weather.n_hours)
    except (binascii.Error, WeatherError) as error:
        raise SiteFileError(f"{where}.rows: {error}") from error
    weather.rows, weather.site = weather_hours.pack(hours), site
    with described(where):
        check_text(weather)
        weather.full_clean(exclude=["rows"])
    try:
        checked(
            Year(
                weather.name,
                weather.source,
                weather.latitude_deg,
                weather.longitude_deg,
                weather.elevation_m,
                weather.utc_offset_h,
                *hours,
            )
        )
    except WeatherError as error:
        raise SiteFileError(f"{where}: {error}") from error
    weather.save()
    return weather


def _fill(layout: Layout, entry: dict[str, Any], where: str, catalogue: _Catalogue) -> None:
    """Create everything in an empty layout."""
    made: dict[str, dict[str, models.Model]] = {}
    for section, model, fields in PARTS:
        entries = listing(entry.get(section), f"{where}.{section}")
        names = _unique(entries, f"{where}.{section}", "name")
        made[section] = {}
        for name, values in zip(names, entries, strict=True):
            place = f"{where}.{section}[{name}]"
            part = model(layout=layout)
            _set(part, mapping(values, place, fields), place, fields)
            _refer(part, values, place, fields, made, catalogue)
            with described(place):
                check_text(part)
                if isinstance(part, PLACED):  # its place is compared with all others at once, below
                    part.clean_fields(exclude=("layout", "hall", "plant", "product"))  # resolved by name and kind
                    part.check_references()
                else:
                    part.full_clean()
            part.save()
            made[section][name] = part
    racks = _racks(entry, where, made, catalogue)
    _check_places(racks, made, where)
    Rack.objects.bulk_create([rack for rack, _ in racks])


def _refer(part: models.Model, entry: dict, place: str, fields: tuple[str, ...], made: dict, catalogue: _Catalogue):
    """Resolve the references of an entry."""
    for name in fields:
        field = part._meta.get_field(name) if name not in ("n_racks", "first", "pitch_m") else None
        if not isinstance(field, models.ForeignKey):
            continue
        given = entry.get(name)
        if given is None:
            if not field.null:
                raise SiteFileError(f"{place}.{name} is missing; give it: {field.help_text or field.verbose_name}")
            continue
        if field.related_model is Product:
            setattr(part, name, catalogue.find(given, kinds.product_kinds(part._meta.model, name), f"{place}.{name}"))
            continue
        known = made[kinds.BY_MODEL[field.related_model].plural]
        if text(given, f"{place}.{name}") not in known:
            order = " above it (list parents first)" if name == "parent" else ""
            names = ", ".join(list(known)[:8]) + (", …" if len(known) > 8 else "")
            raise SiteFileError(
                f"{place}.{name} is {given!r}; must be one of this layout's{order}: {names or 'none is described'}."
            )
        setattr(part, name, known[given])


def _racks(entry: dict, where: str, made: dict, catalogue: _Catalogue) -> list[tuple[Rack, str]]:
    """Return the unsaved racks of a layout, each with its place in the file."""
    racks: list[tuple[Rack, str]] = []
    for i, values in enumerate(listing(entry.get("racks"), f"{where}.racks")):
        name = values.get("name", i) if isinstance(values, dict) else i
        racks.append(_rack(values, f"{where}.racks[{name}]", RACK_FIELDS, made, catalogue))
    for i, values in enumerate(listing(entry.get("rows"), f"{where}.rows")):
        row = values.get("row", i) if isinstance(values, dict) else i
        racks += _row(values, f"{where}.rows[{row}]", made, catalogue)
    seen: set[tuple[int, str]] = set()
    for rack, place in racks:
        if (rack.hall_id, rack.name) in seen:
            raise SiteFileError(f"{place}: hall {rack.hall.name} has two racks named {rack.name!r}; names are unique.")
        seen.add((rack.hall_id, rack.name))
    return racks


def _row(values: Any, place: str, made: dict, catalogue: _Catalogue) -> list[tuple[Rack, str]]:
    """Return the racks that a row stands for: named row-01 … from `first` on, `pitch_m` apart."""
    mapping(values, place, ROW_FIELDS)
    n_racks = whole(values.get("n_racks"), f"{place}.n_racks")
    first = whole(values.get("first", 1), f"{place}.first")
    if not 1 <= n_racks <= services.MAX_ROW_RACKS:
        raise SiteFileError(f"{place}.n_racks is {n_racks}; must be from 1 to {services.MAX_ROW_RACKS}.")
    row = text(values.get("row"), f"{place}.row")
    own = {key: value for key, value in values.items() if key not in ("n_racks", "first", "pitch_m")}
    along = "x_m" if own.get("orientation_deg", 0) in (0, 180) else "y_m"
    start = number(own.get(along), f"{place}.{along}")
    pitch_m = number(values.get("pitch_m", own.get("width_m", 0.6)), f"{place}.pitch_m")
    return [
        _rack(
            own | {"name": f"{row}-{first + i:02}", along: round(start + i * pitch_m, 6)},
            f"{place}[{i + 1}]",
            RACK_FIELDS,
            made,
            catalogue,
        )
        for i in range(n_racks)
    ]


def _rack(values: Any, place: str, fields: tuple[str, ...], made: dict, catalogue: _Catalogue) -> tuple[Rack, str]:
    rack = Rack()
    _set(rack, mapping(values, place, fields), place, fields)
    _refer(rack, values, place, fields, made, catalogue)
    with described(place):
        check_text(rack)
        rack.clean_fields(exclude=RACK_REFERENCES)  # references were resolved by name and kind
        rack.check_references()
        rack.check_contents()
    return rack, place


PLACED = (Cdu, AirUnit, FloorFeature)
STANDS = {"cdus": "stands_on_floor", "floor_features": "is_solid"}  # what says whether it excludes racks


def _check_places(racks: list[tuple[Rack, str]], made: dict, where: str) -> None:
    """Raise if anything leaves its hall, or stands where something else does or may not."""
    in_hall: dict[int, list[tuple[Footprint, str, bool]]] = {hall.pk: [] for hall in made["halls"].values()}
    for rack, place in racks:
        in_hall[rack.hall_id].append((rack.footprint, place, True))
    for section in ("cdus", "air_units", "floor_features"):  # floor features last: they do not exclude each other
        for thing in made[section].values():
            takes_floor = getattr(thing, STANDS.get(section, ""), True)
            if takes_floor or section == "floor_features":  # a CDU in a rack has no place of its own
                in_hall[thing.hall_id].append((thing.footprint, f"{where}.{section}[{thing.name}]", takes_floor))
    for hall in made["halls"].values():
        for footprint, place, _ in in_hall[hall.pk]:
            with described(place):
                check_place(footprint, hall, [])
        standing = [(footprint, place) for footprint, place, takes_floor in in_hall[hall.pk] if takes_floor]
        n_standing = sum(".floor_features[" not in place for _, place in standing)
        corners = np.array([(f.x0_m, f.y0_m, f.x1_m, f.y1_m) for f, _ in standing]).reshape(-1, 4)
        for i, j in overlapping_pairs(corners, n_first=n_standing, most=1):
            with described(standing[j][1]):
                check_place(standing[j][0], hall, [standing[i][0]])
