"""Changes of the description. Pages, API and site files all come through here.

Every change of what stands in a layout checks the object against the rest of the layout and raises the layout's version
by one in the same transaction. It is refused where the caller names a version since which somebody has changed the same
object, or the tag of an object that is no longer so (`etags`); changes that do not touch each other go side by side.
Each asks whether its `user` may change the site (`permissions.check_write`); commands and workers name none.
"""

import math
from collections.abc import Collection

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify

from facility.edit_records import change_of, key_of, record, record_part, shown_values, stored, touched_since
from facility.etags import check_match
from facility.floor_plan import check_place
from facility.members import owners_kept
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
    Membership,
    PowerFeed,
    Product,
    Rack,
    Site,
    Storage,
    Weather,
)
from facility.models.site import listed
from facility.models.text import check_text
from facility.permissions import check_create_site, check_manage, check_put_into, check_status, check_write
from facility.weather import Year, weather_fields

Part = Hall | Rack | Cdu | PowerFeed | CoolingPlant | AirUnit | FloorFeature | Fabric | Storage | CpuServer
MAX_ROW_RACKS = 500
DESIGN_HOUR = ("design_hour", "design_dry_bulb_degc", "design_wet_bulb_degc")  # fields of a layout


class StaleLayout(Exception):
    """Somebody else changed the layout in between; the message says what to do."""


class FrozenLayout(ValidationError):
    """The layout is approved, as built or as operated: its content is fixed; `message` says what to do."""


def layout_of(part: Part) -> Layout:
    """Return the layout that a part stands in."""
    return part.hall.layout if isinstance(part, Rack) else part.layout


@transaction.atomic
def site_create(*, site: Site, user=None) -> Site:
    """Save a new site; the user who made it becomes its owner."""
    check_create_site(user, site.organisation)
    check_values(site)
    site.full_clean()
    site.save()
    if user is not None and not user.is_superuser:
        Membership.objects.create(site=site, user=user, role=Membership.Role.OWNER)
    return site


@transaction.atomic
def site_create_with_weather(*, site: Site, year: Year, user=None) -> Site:
    """Save a new site with a year of weather from a file: the year first, then both refer to each other."""
    fields = weather_fields(year)
    weather = Weather(slug=slugify(f"{site.slug} {fields['name']}")[:80], **fields)
    check_text(weather)
    weather.full_clean()
    weather.save()
    site.weather = weather
    site_create(site=site, user=user)
    weather.site = site
    weather.save(update_fields=["site"])
    return site


@transaction.atomic
def site_update(*, site: Site, user=None) -> Site:
    """Check and save a changed site. Its owners decide on its organisation, and it always has one."""
    check_write(user, site)
    if site.organisation_id != Site.objects.values_list("organisation", flat=True).get(pk=site.pk):
        check_manage(user, site)
        if user is not None and site.organisation is not None:
            check_put_into(user, site.organisation)
    check_values(site)
    site.full_clean()
    with owners_kept(site, field="organisation", user=user):
        site.save()
    return site


def layout_create(*, layout: Layout, user=None) -> Layout:
    """Check and save a new layout."""
    check_write(user, layout.site)
    check_status(user, layout.site, Layout.Status.PROPOSED, layout.status)
    check_values(layout)
    layout.full_clean()
    layout.save()
    return layout


@transaction.atomic
def layout_update(*, layout: Layout, version: int | None = None, if_match: str | None = None, user=None) -> Layout:
    """Check and save a layout's name, status and notes."""
    check_write(user, layout.site)
    check_values(layout)
    layout.full_clean()
    stored_layout = Layout.objects.select_for_update().get(pk=layout.pk)
    check_status(user, layout.site, stored_layout.status, layout.status)
    if layout.status == stored_layout.status:
        check_not_frozen(stored_layout)
    layout_bump(layout=layout, version=version, touches={("layout", layout.pk)}, is_frozen_allowed=True)
    check_match(stored_layout, if_match)
    own = ("slug", "name", "status", "notes", *DESIGN_HOUR)
    changes = change_of(
        "layout",
        layout.pk,
        layout.name,
        *({name: getattr(row, name) for name in own} for row in (stored_layout, layout)),
    )
    layout.save(update_fields=[*own, "updated_at"])
    record(layout, [changes] if changes else [], user)
    return layout


@transaction.atomic
def layout_delete(*, layout: Layout, if_match: str | None = None, user=None) -> None:
    """Remove a layout with everything in it and its runs; one that is no longer proposed stays."""
    check_write(user, layout.site)
    stored_layout = Layout.objects.select_for_update().get(pk=layout.pk)
    check_match(stored_layout, if_match)
    check_not_frozen(stored_layout)
    layout.delete()


def layout_bump(
    *,
    layout: Layout,
    version: int | None = None,
    touches: set[tuple[str, int]] | None = None,
    is_frozen_allowed: bool = False,
) -> None:
    """Count an edit; refuse one that was made on an older version and clashes. Call inside the edit's transaction.

    Parameters
    ----------
    version : int, optional
        Version that the edit was made on; none: whatever is newest.
    touches : set of (kind, id), optional
        What the edit changes. None: anything, so that every edit since `version` clashes with it.
    is_frozen_allowed : bool
        Whether a layout that is no longer proposed may be edited: only its status may.

    Raises
    ------
    FrozenLayout
        If the layout is approved, as built or as operated.
    StaleLayout
        If something in `touches` has been changed since `version`.
    """
    newest = layout_lock(layout)
    if not is_frozen_allowed:
        check_not_frozen(Layout.objects.only("name", "status").get(pk=layout.pk))
    if version is not None and version != newest:
        others = touched_since(layout, version) if version < newest else None
        if touches is None or others is None or touches & others:
            raise StaleLayout(
                f"You edited version {version} of {layout.name}, but it is at version {newest} by now. "
                "Reload it and repeat your change."
            )
    Layout.objects.filter(pk=layout.pk).update(version=F("version") + 1, updated_at=timezone.now())
    layout.refresh_from_db(fields=["version", "updated_at"])


def check_not_frozen(layout: Layout) -> None:
    """Raise FrozenLayout where what stands in a layout may no longer change."""
    if layout.is_frozen:
        raise FrozenLayout(
            f"{layout.name} is {layout.get_status_display()} and stays as it is. Copy it and change the copy, or set"
            " its status back to proposed."
        )


def layout_lock(layout: Layout) -> int:
    """Make other edits of the layout wait until this transaction ends, and return its newest version."""
    return Layout.objects.select_for_update().values_list("version", flat=True).get(pk=layout.pk)


@transaction.atomic
def part_save(
    *,
    part: Part,
    version: int | None = None,
    fields: Collection[str] | None = None,
    if_match: str | None = None,
    user=None,
) -> Part:
    """Check and save a new or changed part.

    Parameters
    ----------
    part : Hall, Rack, Cdu, PowerFeed, CoolingPlant, AirUnit, FloorFeature, Fabric, Storage or CpuServer
        New or changed, not yet saved.
    version : int, optional
        Version of the layout that the change was made on; none: whatever is newest.
    fields : collection of str, optional
        What the caller changed of a standing part; everything else stays as it is stored now. None: all of it.
    if_match : str, optional
        The tag of the part that the caller read (`etags`).
    user : User, optional
        Who does it, for the record of edits.

    Raises
    ------
    ValidationError
        By field, with sentences that name both sides. Nothing has been saved then.
    StaleLayout
        If somebody has changed or deleted the part since `version`.
    TagMismatch
        If the part is not what `if_match` names any more.
    """
    layout = _layout_checked(part)
    check_write(user, layout.site)
    layout_bump(layout=layout, version=version, touches={key_of(part)} if part.pk else set())
    now = stored(part)
    if part.pk and now is None:
        raise StaleLayout(f"{part} has been deleted since you read it.")
    before = shown_values(now)
    if now is not None:
        check_match(now, if_match)
        if fields is not None:  # what others changed of it meanwhile stays
            part = _with(now, part, fields)
    check_values(part)
    part.full_clean()
    part.save()
    record_part(layout, part, before, shown_values(part), user)
    return part


@transaction.atomic
def part_delete(*, part: Part, version: int | None = None, if_match: str | None = None, user=None) -> None:
    """Remove a part. Feeds take the feeds below them along; racks lose the CDU or feed that goes.

    Raises
    ------
    ValidationError
        If a plant is still used by CDUs or halls; names them.
    """
    layout = layout_of(part)
    check_write(user, layout.site)
    alone = isinstance(part, Rack | AirUnit | FloorFeature)  # nothing goes or changes with it
    layout_bump(layout=layout, version=version, touches={key_of(part)} if alone else None)
    now = stored(part)
    if now is None:
        raise StaleLayout(f"{part} has been deleted since you read it.")
    check_match(now, if_match)
    if isinstance(part, CoolingPlant):
        users = [f"CDU {cdu.name}" for cdu in part.cdus.all()] + [f"hall {hall.name}" for hall in part.halls.all()]
        if users:
            raise ValidationError(f"Plant {part.name} is in use by {listed(users)}; connect them elsewhere first.")
    record_part(layout, part, shown_values(part), {}, user)
    part.delete()


def _with(now: Part, part: Part, fields: Collection[str]) -> Part:
    """Return the part as it is stored now with what the caller changed of it."""
    for field in part._meta.concrete_fields:
        if field.name in fields:
            setattr(now, field.name, getattr(part, field.name))
    return now


def check_values(row: models.Model) -> None:
    """Raise if a number is infinite or NaN, which range validators let pass, or a text has invisible characters."""
    check_text(row)
    for field in row._meta.concrete_fields:
        value = getattr(row, field.attname)
        if isinstance(field, models.FloatField) and isinstance(value, float) and not math.isfinite(value):
            raise ValidationError({field.name: f"Is {value}; must be a finite number."})


def _layout_checked(part: Part) -> Layout:
    if isinstance(part, Rack):
        if part.hall_id is None:
            raise ValidationError({"hall": "Name the hall that the rack stands in."})
    elif part.layout_id is None:
        raise ValidationError({"layout": "Name the layout that it belongs to."})
    return layout_of(part)


@transaction.atomic
def racks_create_row(
    *,
    hall: Hall,
    row: str,
    n_racks: int,
    x_m: float,
    y_m: float,
    pitch_m: float,
    orientation_deg: int = 0,
    product: Product | None = None,
    n_systems: int = 1,
    role: str = Rack.Role.COMPUTE,
    width_m: float = 0.6,
    depth_m: float = 1.2,
    other_power_w: float = 0.0,
    cdu: Cdu | None = None,
    feed_a: PowerFeed | None = None,
    feed_b: PowerFeed | None = None,
    version: int | None = None,
    user=None,
) -> list[Rack]:
    """Place a row of equal racks: "12 racks of GB300 in row A from x = 2 m, pitch 0.6 m".

    Racks are named row-01, row-02 …, going on after those that the row has. The row runs along x where fronts face y
    (0°, 180°), else along y.

    Parameters
    ----------
    n_racks : int
        1 to 500.
    x_m, y_m : float
        Lower left corner of the first rack [m].
    pitch_m : float
        From one rack's edge to the next one's [m]; at least the rack's width.

    Raises
    ------
    ValidationError
        If any rack of the row does not fit; none has been placed then.
    """
    check_write(user, hall.layout.site)
    if not 1 <= n_racks <= MAX_ROW_RACKS:
        raise ValidationError({"n_racks": f"{n_racks} racks; a row has from 1 to {MAX_ROW_RACKS}."})
    if pitch_m < width_m:
        raise ValidationError({"pitch_m": f"Pitch {pitch_m:g} m is less than the racks' width of {width_m:g} m."})
    if not row.strip():
        raise ValidationError({"row": "Name the row, e.g. A."})
    taken = set(hall.racks.values_list("name", flat=True))
    numbers = (number for number in range(1, len(taken) + n_racks + 1) if f"{row}-{number:02}" not in taken)
    along_x = orientation_deg in (0, 180)
    racks = [
        Rack(
            hall=hall,
            name=f"{row}-{number:02}",
            row=row,
            role=role,
            orientation_deg=orientation_deg,
            x_m=round(x_m + along_x * i * pitch_m, 6),
            y_m=round(y_m + (not along_x) * i * pitch_m, 6),
            width_m=width_m,
            depth_m=depth_m,
            product=product,
            n_systems=n_systems,
            other_power_w=other_power_w,
            cdu=cdu,
            feed_a=feed_a,
            feed_b=feed_b,
        )
        for i, number in zip(range(n_racks), numbers, strict=False)
    ]
    check_values(racks[0])
    racks[0].full_clean(exclude=["name"])  # what they share is checked once
    standing = hall.footprints()
    for rack in racks:
        rack.clean_fields(exclude=["hall", "product", "cdu", "feed_a", "feed_b"])
        check_place(rack.footprint, hall, standing)
        standing.append(rack.footprint)
    layout_bump(layout=hall.layout, version=version, touches=set())
    made = Rack.objects.bulk_create(racks)
    record(hall.layout, [change_of("rack", rack.pk, rack.name, {}, shown_values(rack)) for rack in made], user)
    return made


@transaction.atomic
def layout_clone(*, layout: Layout, name: str, slug: str | None = None, user=None) -> Layout:
    """Copy a layout with everything in it under a new name at the same site.

    Raises
    ------
    ValidationError
        If the site already has a layout of that slug.
    """
    check_write(user, layout.site)
    copy = Layout(
        site=layout.site,
        slug=slug or slugify(name)[:80],
        name=name,
        notes=layout.notes,
        **{name: getattr(layout, name) for name in DESIGN_HOUR},
        cloned_from=layout,
    )
    check_text(copy)
    copy.full_clean()
    copy.save()
    plants = _copied(CoolingPlant.objects.filter(layout=layout), {"layout_id": copy.pk})
    halls = _copied(Hall.objects.filter(layout=layout), {"layout_id": copy.pk}, plant_id=plants)
    cdus = _copied(Cdu.objects.filter(layout=layout), {"layout_id": copy.pk}, hall_id=halls, plant_id=plants)
    feeds = _copied(PowerFeed.objects.filter(layout=layout), {"layout_id": copy.pk}, hall_id=halls)
    for model in (AirUnit, FloorFeature):
        _copied(model.objects.filter(layout=layout), {"layout_id": copy.pk}, hall_id=halls)
    for model in (Fabric, Storage, CpuServer, CalibratedParameter):
        _copied(model.objects.filter(layout=layout), {"layout_id": copy.pk})
    for feed in PowerFeed.objects.filter(layout=copy).exclude(parent=None):
        feed.parent_id = feeds[feed.parent_id]
        feed.save(update_fields=["parent"])
    _copied(Rack.objects.filter(hall__layout=layout), {}, hall_id=halls, cdu_id=cdus, feed_a_id=feeds, feed_b_id=feeds)
    return copy


def _copied(rows: models.QuerySet, values: dict[str, int], **renumbered: dict[int, int]) -> dict[int, int]:
    """Copy rows with new values and renumbered references; return new primary keys by old."""
    originals = list(rows.order_by("pk"))
    copies = []
    for original in originals:
        fields = {field.attname: getattr(original, field.attname) for field in original._meta.concrete_fields}
        fields |= {"id": None} | values
        for name, numbers in renumbered.items():
            if fields[name] is not None:
                fields[name] = numbers[fields[name]]
        copies.append(type(original)(**fields))
    made = rows.model.objects.bulk_create(copies)
    return {original.pk: copy.pk for original, copy in zip(originals, made, strict=True)}


def weather_create(*, site: Site, year: Year, name: str = "", user=None) -> Weather:
    """Keep a year that was read from a file (`weather.read_epw`) as weather of the site.

    Raises
    ------
    ValidationError
        If there already is weather of that name.
    """
    check_write(user, site)
    fields = weather_fields(year) | ({"name": name} if name else {})
    weather = Weather(slug=slugify(f"{site.slug} {fields['name']}")[:80], site=site, **fields)
    check_text(weather)
    weather.full_clean()
    weather.save()
    return weather
