"""The parts of a layout in lists and forms: one set of views for all of them.

Every change goes through `facility.services`, which checks, counts the edit and refuses one made on an older version.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.text import capfirst

from facility import kinds, services
from facility.entry import forms
from facility.models import Cdu, Hall, Layout, PowerFeed, Rack
from facility.permissions import check_change_site, may_change_site
from facility.views.lookup import visible_layout_or_404
from power_cooling.site_facts.ratings import nameplate_w

PAGE_ROWS = 50  # of a list: a thousand racks took a second to write


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a list: its head, how to read a row, and the unit of a number."""

    head: str
    read: Callable[[Model], object]
    unit: str | None = None  # None: text


@dataclass(frozen=True, slots=True)
class PartKind:
    """How a kind of part is listed and asked for."""

    kind: kinds.Kind
    plural: str
    form: type[forms.PartForm]
    columns: tuple[Column, ...]
    related: tuple[str, ...] = ()
    first_step: str = ""

    @property
    def slug(self) -> str:
        """What addresses call it."""
        return self.kind.slug

    @property
    def singular(self) -> str:
        """What sentences call one."""
        return self.kind.label

    @property
    def model(self) -> type[Model]:
        """Its table."""
        return self.kind.model

    def rows_of(self, layout: Layout) -> QuerySet:
        """Return the parts of this kind in a layout."""
        inside = {"hall__layout": layout} if self.model is Rack else {"layout": layout}
        rows = self.model.objects.filter(**inside).select_related(*self.related)
        return rows.annotate(n_racks=Count("racks")) if self.model in (Hall, Cdu) else rows


def rated_w(rack: Rack) -> float:
    """Return a rack's nameplate power [W]."""
    return nameplate_w(rack.product.facts if rack.product else {}, rack.n_systems, rack.other_power_w)


def feed_rating_w(feed: PowerFeed) -> float | None:
    """Return what a feed may carry with all its units [W], or None where no rating is stated."""
    return feed.unit_rating_w * feed.n_units if feed.unit_rating_w else None


ON_FLOOR = (
    Column("x", lambda part: part.x_m, "m"),
    Column("y", lambda part: part.y_m, "m"),
    Column("Width", lambda part: part.width_m, "m"),
    Column("Depth", lambda part: part.depth_m, "m"),
)
PARTS = {
    kind.slug: kind
    for kind in (
        PartKind(
            kind=kinds.BY_NAME["hall"],
            plural="Halls",
            form=forms.HallForm,
            columns=(
                Column("Width", lambda h: h.width_m, "m"),
                Column("Depth", lambda h: h.depth_m, "m"),
                Column("Racks", lambda h: str(h.n_racks)),
                Column("Containment", lambda h: h.get_containment_display()),
                Column("Supply air", lambda h: h.supply_air_degc, "°C"),
                Column("Air units", lambda h: f"{h.n_air_units} × {h.air_unit}" if h.air_unit else "none"),
                Column("Plant", lambda h: h.plant or "none"),
            ),
            related=("air_unit", "plant"),
            first_step="A hall is a floor with an air system; racks and CDUs stand in it.",
        ),
        PartKind(
            kind=kinds.BY_NAME["rack"],
            plural="Racks",
            form=forms.RackForm,
            columns=(
                Column("Row", lambda r: r.row),
                Column("Hall", lambda r: r.hall.name),
                Column("Role", lambda r: r.get_role_display()),
                Column(
                    "Product", lambda r: (f"{r.n_systems} × " if r.n_systems > 1 else "") + str(r.product or "none")
                ),
                Column("Rated power", rated_w, "W"),
                Column("x", lambda r: r.x_m, "m"),
                Column("y", lambda r: r.y_m, "m"),
                Column("CDU", lambda r: r.cdu or "none"),
                Column("Feed A", lambda r: r.feed_a or "none"),
                Column("Feed B", lambda r: r.feed_b or "none"),
            ),
            related=("hall", "product", "cdu", "feed_a", "feed_b"),
            first_step="Add a row of racks at once, or a single one.",
        ),
        PartKind(
            kind=kinds.BY_NAME["cdu"],
            plural="CDUs",
            form=forms.CduForm,
            columns=(
                Column("Product", lambda c: c.product),
                Column("Capacity", lambda c: c.product.facts.get("capacity_w"), "W"),
                Column("Group", lambda c: c.group),
                Column("Redundant units (N+x)", lambda c: str(c.redundant_units)),
                Column("Racks", lambda c: str(c.n_racks)),
                Column("Supply", lambda c: c.supply_degc, "°C"),
                Column("Plant", lambda c: c.plant),
                Column("Hall", lambda c: c.hall),
            ),
            related=("hall", "product", "plant"),
            first_step="Liquid-cooled racks need CDUs; they need a cooling plant first.",
        ),
        PartKind(
            kind=kinds.BY_NAME["power_feed"],
            plural="Feeds",
            form=forms.PowerFeedForm,
            columns=(
                Column("Kind", lambda f: f.get_kind_display()),
                Column("Fed by", lambda f: f.parent or "—"),
                Column("Product", lambda f: f.product or "none"),
                Column("Units", lambda f: str(f.n_units)),
                Column("Rating", feed_rating_w, "W"),
                Column("Group", lambda f: f.redundancy_group or "—"),
                Column("Redundancy", lambda f: f.redundancy),
            ),
            related=("parent", "product"),
            first_step="Start at the utility and go down to what the racks plug into.",
        ),
        PartKind(
            kind=kinds.BY_NAME["cooling_plant"],
            plural="Plants",
            form=forms.CoolingPlantForm,
            columns=(
                Column("Supply", lambda p: p.supply_degc, "°C"),
                Column("Rise", lambda p: p.design_rise_k, "K"),
                Column("Economiser", lambda p: p.get_economiser_display()),
                Column("Heat rejection", lambda p: f"{p.n_heat_rejection} × {p.heat_rejection}"),
                Column("Chillers", lambda p: f"{p.n_chillers} × {p.chiller}" if p.chiller else "none"),
                Column("Pumps", lambda p: f"{p.n_pumps} × {p.pump}"),
            ),
            related=("heat_rejection", "chiller", "pump"),
            first_step="A plant rejects the heat of CDUs and air units outdoors.",
        ),
        PartKind(
            kind=kinds.BY_NAME["air_unit"],
            plural="Air units",
            form=forms.AirUnitForm,
            columns=(
                Column("Hall", lambda a: a.hall),
                Column("Product", lambda a: a.hall.air_unit or "none"),
                *ON_FLOOR,
                Column("Blows to", lambda a: a.get_orientation_deg_display()),
            ),
            related=("hall__air_unit",),
            first_step="The hall says how many air units there are; place them to see where they stand.",
        ),
        PartKind(
            kind=kinds.BY_NAME["floor_feature"],
            plural="Walls and aisles",
            form=forms.FloorFeatureForm,
            columns=(
                Column("Type", lambda f: f.get_type_display()),
                Column("Hall", lambda f: f.hall),
                *ON_FLOOR,
            ),
            related=("hall",),
            first_step="Nothing may stand on walls and keep-outs; aisles should stay clear.",
        ),
        PartKind(
            kind=kinds.BY_NAME["fabric"],
            plural="Networks",
            form=forms.FabricForm,
            columns=(
                Column("Purpose", lambda f: f.get_purpose_display()),
                Column("Leaf", lambda f: f.leaf),
                Column("Spine", lambda f: f.spine or "none"),
                Column("Optics", lambda f: f.optics or "copper"),
                Column("Cable", lambda f: f.cable or "none stated"),
                Column("Ports per accelerator", lambda f: f"{f.ports_per_accelerator:g}"),
                Column("Port", lambda f: f.get_port_bits_per_s_display()),
                Column("Rails", lambda f: str(f.rails)),
                Column("Oversubscription", lambda f: f"{f.oversubscription:g}"),
            ),
            related=("leaf", "spine", "optics", "cable"),
            first_step="Switches, cables and optics are counted from the racks that stand.",
        ),
        PartKind(
            kind=kinds.BY_NAME["storage"],
            plural="Storage",
            form=forms.StorageForm,
            columns=(
                Column("Purpose", lambda s: s.get_purpose_display()),
                Column("Product", lambda s: s.product),
                Column("Units", lambda s: str(s.n_units)),
                Column("Capacity", lambda s: s.n_units * s.product.facts["usable_bytes"], "B"),
                Column("Read", lambda s: s.n_units * s.product.facts["read_bytes_per_s"], "B/s"),
            ),
            related=("product",),
            first_step="Holds weights and data sets, or what paused sessions had cached; stands in storage racks.",
        ),
        PartKind(
            kind=kinds.BY_NAME["cpu_server"],
            plural="CPU servers",
            form=forms.CpuServerForm,
            columns=(
                Column("Product", lambda s: s.product),
                Column("Servers", lambda s: str(s.n_units)),
                Column("Cores", lambda s: f"{s.n_units * s.product.facts['cores']:,.0f}"),
                Column("Highest power", lambda s: s.n_units * s.product.facts["max_power_w"], "W"),
            ),
            related=("product",),
            first_step="Run agents' tools, routers and planners; stand in support racks without a product or a power.",
        ),
    )
}


def part_kind_or_404(slug: str) -> PartKind:
    """Return the kind of that address."""
    if slug not in PARTS:
        raise Http404(f"no kind of part called {slug}; there are {', '.join(PARTS)}")
    return PARTS[slug]


@login_required
def part_list(request: HttpRequest, site: str, layout: str, kind: str) -> HttpResponse:
    """List the parts of one kind in a layout."""
    layout = visible_layout_or_404(request.user, site, layout)
    kind = part_kind_or_404(kind)
    parts = kind.rows_of(layout).order_by(*kind.model._meta.ordering, "pk")
    first = list(parts[: PAGE_ROWS + 1])
    page = Paginator(first if len(first) <= PAGE_ROWS else parts, PAGE_ROWS).get_page(request.GET.get("page"))
    context = {
        "layout": layout,
        "site": layout.site,
        "kind": kind,
        "page": page,
        "parts_href": reverse("part-list", args=[site, layout.slug, kind.slug]),
        "layout_href": reverse("layout-detail", args=[site, layout.slug]),
        "heads": [(column.head, column.unit) for column in kind.columns],
        "rows": [(part, [(c.head, c.read(part), c.unit) for c in kind.columns]) for part in page],
        "may_change": may_change_site(request.user, layout.site),
    }
    return render(request, "facility/part_list.html", context)


@login_required
def part_edit(request: HttpRequest, site: str, layout: str, kind: str, pk: int | None = None) -> HttpResponse:
    """Show and take the form of a part, new or standing."""
    layout = visible_layout_or_404(request.user, site, layout)
    check_change_site(request.user, layout.site)
    kind = part_kind_or_404(kind)
    part = get_object_or_404(kind.rows_of(layout), pk=pk) if pk else None
    form = kind.form(request.POST or None, instance=part, layout=layout)
    if request.method == "POST" and form.is_valid():
        try:
            saved = services.part_save(
                part=form.save(commit=False), version=version_of(request), fields=form.changed_data, user=request.user
            )
        except ValidationError as error:
            put_on_form(form, error)
        except services.StaleLayout as stale:
            return conflict(request, layout, kind, form, stale)
        else:
            messages.success(request, f"{capfirst(kind.singular)} {saved} saved.")
            return redirect("part-list", site, layout.slug, kind.slug)
    return form_page(request, layout, kind, form, part)


def version_of(request: HttpRequest) -> int:
    """Return the version of the layout that a form was shown at.

    Raises
    ------
    StaleLayout
        If the form carries none: what the user saw is then unknown, and the change is not made.
    """
    given = request.POST.get("version", "")
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise services.StaleLayout("The form does not say which version of the layout it was shown at.")
    return int(given)


def form_page(request: HttpRequest, layout: Layout, kind: PartKind, form, part: Model | None = None) -> HttpResponse:
    """Return the page of a part's form."""
    context = {"layout": layout, "site": layout.site, "kind": kind, "form": form, "part": part}
    return render(request, "facility/part_form.html", context)


def put_on_form(form, error: ValidationError) -> None:
    """Put each sentence of a service's refusal beside its field, or above the form where it has no such field."""
    by_field = error.message_dict if hasattr(error, "error_dict") else {None: error.messages}
    for name, sentences in by_field.items():
        for sentence in sentences:
            form.add_error(name if name in form.fields else None, sentence)


def conflict(request: HttpRequest, layout: Layout, kind: PartKind, form, stale: services.StaleLayout) -> HttpResponse:
    """Show what was typed again with the newest version, so that a second submit is a decision and nothing is lost."""
    layout.refresh_from_db()
    form.data = form.data.copy()
    form.data["version"] = layout.version
    form.add_error(
        None,
        f"{stale} What you typed is still below: check the layout, then save again to put it on the newest version.",
    )
    return form_page(request, layout, kind, form)


@login_required
def part_delete(request: HttpRequest, site: str, layout: str, kind: str, pk: int) -> HttpResponse:
    """Ask, then remove a part."""
    layout = visible_layout_or_404(request.user, site, layout)
    check_change_site(request.user, layout.site)
    kind = part_kind_or_404(kind)
    part = get_object_or_404(kind.rows_of(layout), pk=pk)
    context = {"layout": layout, "site": layout.site, "kind": kind, "part": part}
    if request.method == "POST":
        try:
            services.part_delete(part=part, version=version_of(request), user=request.user)
        except (ValidationError, services.StaleLayout) as refusal:
            context["refusal"] = " ".join(getattr(refusal, "messages", [str(refusal)]))
        else:
            messages.success(request, f"{capfirst(kind.singular)} {part} deleted.")
            return redirect("part-list", site, layout.slug, kind.slug)
    return render(request, "facility/part_delete.html", context)


@login_required
def rack_row(request: HttpRequest, site: str, layout: str) -> HttpResponse:
    """Show and take the form that places a whole row of racks."""
    layout = visible_layout_or_404(request.user, site, layout)
    check_change_site(request.user, layout.site)
    form = forms.RackRowForm(request.POST or None, layout=layout)
    if request.method == "POST" and form.is_valid():
        try:
            racks = form.save(user=request.user)
        except services.StaleLayout as stale:
            return conflict(request, layout, PARTS["racks"], form, stale)
        if racks:
            messages.success(request, f"{len(racks)} racks placed, {racks[0]} to {racks[-1]}.")
            return redirect("layout-detail", site, layout.slug)
    return form_page(request, layout, PARTS["racks"], form)
