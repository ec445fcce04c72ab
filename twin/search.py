"""One search over sites, layouts, their parts, scenarios, runs, the catalogue and the glossary.

Whoever asks finds what they may see and nothing else: everything that belongs to a site goes by `visible_sites`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Length
from django.urls import reverse

from facility.kinds import KINDS, Kind
from facility.models import Cdu, Layout, Product, Rack, Site
from facility.permissions import visible_sites
from twin.core.glossary import terms
from twin.models import Run, Scenario

LEAST, MOST = 2, 80  # characters
MOST_WORDS = 6
MOST_OF_A_KIND = 8
READ_OF_A_KIND = 60  # out of which the nearest are shown


class SearchError(ValueError):
    """A text that nothing is searched by; the sentence says what is allowed."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found."""

    kind: str  # in words: site, layout, rack, run, catalogue, glossary …
    name: str
    where: str  # which site and layout it belongs to, or what it is
    href: str


def search(user: Any, text: str) -> list[Hit]:
    """Return what a user may see that has every word of a text in its name, at most eight of a kind.

    Raises
    ------
    SearchError
        If the text is too short or too long, or no name can have it.
    """
    asked = " ".join(text.split())
    if not LEAST <= len(asked) <= MOST:
        raise SearchError(f"The text has {len(asked)} characters; search by {LEAST} to {MOST}.")
    if not asked.isprintable():
        raise SearchError(f"The text {asked!r} has characters that cannot be printed; search by letters and digits.")
    words = asked.split(" ")[:MOST_WORDS]
    sites = visible_sites(user)
    return [
        *_nearest(asked, _sites(sites, words)),
        *_nearest(asked, _layouts(sites, words)),
        *(hit for kind in KINDS for hit in _nearest(asked, _parts(kind, sites, words))),
        *_nearest(asked, _scenarios(sites, words)),
        *_runs(sites, asked, words),
        *_nearest(asked, _products(words)),
        *_nearest(asked, _terms(words)),
    ]


def _every(words: Iterable[str], *fields: str) -> Q:
    """Return the condition that every word stands in one of the fields."""
    return reduce(
        and_,
        (
            reduce(or_, (Q(**{f"{field}__icontains": case}) for field in fields for case in _cases(word)))
            for word in words
        ),
    )


def _cases(word: str) -> set[str]:
    """Return how a word may be written: SQLite knows capitals of ASCII alone."""
    return {word} if word.isascii() else {word, word.lower(), word.upper(), word.capitalize()}


def _nearest(asked: str, hits: Iterable[Hit]) -> list[Hit]:
    """Return the first of a kind: names that are the text, then those that begin with it, then the shorter."""
    low = asked.casefold()

    def far(hit: Hit) -> tuple[bool, bool, int, str, str]:
        name = hit.name.casefold()
        return name != low, not name.startswith(low), len(name), name, hit.where

    return sorted(hits, key=far)[:MOST_OF_A_KIND]


def _read(rows: QuerySet, hit: Callable[[Any], Hit]) -> list[Hit]:
    """Return what the shortest names are of: a name that is the text has no shorter one beside it."""
    return [hit(row) for row in rows.order_by(Length("name"), "name", "pk")[:READ_OF_A_KIND]]


def _sites(sites: QuerySet[Site], words: list[str]) -> list[Hit]:
    rows = sites.filter(_every(words, "name", "slug", "place"))
    return _read(rows, lambda site: Hit("site", site.name, site.place, reverse("site-detail", args=[site.slug])))


def _layouts(sites: QuerySet[Site], words: list[str]) -> list[Hit]:
    rows = Layout.objects.filter(_every(words, "name", "slug"), site__in=sites)
    return _read(
        rows.select_related("site"),
        lambda row: Hit("layout", row.name, row.site.name, reverse("layout-detail", args=[row.site.slug, row.slug])),
    )


def _parts(kind: Kind, sites: QuerySet[Site], words: list[str]) -> list[Hit]:
    is_rack = kind.model is Rack
    layout = "hall__layout" if is_rack else "layout"
    rows = kind.model._default_manager.filter(_every(words, "name"), **{f"{layout}__site__in": sites})

    def hit(part: Model) -> Hit:
        of_layout = part.hall.layout if is_rack else part.layout
        here = [of_layout.site.slug, of_layout.slug]
        href = reverse("part-list", args=[*here, kind.slug])
        if kind.model in (Rack, Cdu):
            href = reverse(f"{kind.name}-detail", args=[*here, part.pk])
        return Hit(kind.label, part.name, f"{of_layout.name}, {of_layout.site.name}", href)

    return _read(rows.select_related(f"{layout}__site"), hit)


def _scenarios(sites: QuerySet[Site], words: list[str]) -> list[Hit]:
    rows = Scenario.objects.filter(_every(words, "name", "slug"), site__in=sites)

    def hit(row: Scenario) -> Hit:  # what a viewer may see of it: its site's layouts under it
        href = f"{reverse('site-detail', args=[row.site.slug])}?{urlencode({'scenario': row.slug})}"
        return Hit("scenario", row.name, row.site.name, href)

    return _read(rows.select_related("site"), hit)


def _runs(sites: QuerySet[Site], asked: str, words: list[str]) -> list[Hit]:
    """Return runs by the name of layout, scenario or site, or by the beginning of their id; the newest first."""
    named = _every(words, "layout__name", "scenario__name", "layout__site__name")
    rows = Run.objects.filter(layout__site__in=sites).select_related("layout__site", "scenario")
    rows = rows.defer(*Run.HEAVY).order_by("-created_at")
    by_id = list(rows.filter(id__startswith=asked.casefold())) if _is_id(asked) else []
    found = dict.fromkeys([*by_id, *rows.filter(named)[:MOST_OF_A_KIND]])
    return [
        Hit("run", f"{run.layout.name}, {run.scenario.name}", f"{run.get_status_display()}, {run.layout.site.name}", at)
        for run in list(found)[:MOST_OF_A_KIND]
        for at in (run.get_absolute_url(),)
    ]


def _is_id(asked: str) -> bool:
    return len(asked) >= 8 and not set(asked.casefold()) - set("0123456789abcdef-")


def _products(words: list[str]) -> list[Hit]:
    rows = Product.objects.filter(_every(words, "name", "slug", "vendor")).defer("facts")

    def hit(row: Product) -> Hit:
        href = reverse("product", args=[row.kind, row.slug])
        return Hit("catalogue", row.name, row.kind.replace("_", " "), href)

    return _read(rows, hit)


def _terms(words: list[str]) -> list[Hit]:
    page = reverse("glossary")
    low = [word.casefold() for word in words]
    return [
        Hit("glossary", term.name, term.meaning, f"{page}#{term.slug}")
        for term in terms()
        if all(word in term.name.casefold() for word in low)
    ]
