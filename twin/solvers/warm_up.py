"""Load what the first answers would wait for: compiled solvers, serving configurations, claims, the API's document."""

import logging
from collections.abc import Callable

from django.db import connection

from facility.models import Layout, Product
from twin.api.known_parameters import known_parameters
from twin.core.serving.evidence import MODELS
from twin.core.solve.estimate import instant_answer
from twin.core.solve.object_states import object_tables
from twin.core.solve.simulate import described
from twin.core.solve.steady import DESIGN, solve_steady
from twin.exceptions import CannotSimulate
from twin.runs import snapshot
from twin.runs.findings import layout_findings
from twin.views.claims import model_evidence
from twin.views.serving import ENGINES, FIRST, explored, recomputed_claims

logger = logging.getLogger(__name__)

N_LAYOUTS = 4  # latest drawings whose pools are planned; each takes a second or two


def warm_up() -> None:
    """Answer for the latest drawings, and for the serving explorer's first choice; nothing is kept but caches.

    Whatever cannot be solved is left to whoever asks for it.
    """
    try:
        for layout in Layout.objects.select_related("site").order_by("-updated_at")[:N_LAYOUTS]:
            _tried(f"layout {layout.path}", lambda layout=layout: _answer(layout))
        _tried("serving explorer", _explore)
        _tried("addresses of the API", lambda: known_parameters("/api/", "GET"))
    finally:
        connection.close()


def _tried(what: str, work: Callable[[], None]) -> None:
    try:
        work()
    except (CannotSimulate, ValueError) as refusal:
        logger.info("%s is not loaded ahead: %s", what, refusal)
    except Exception:
        logger.exception("%s could not be loaded ahead", what)


def _answer(layout: Layout) -> None:
    layout_findings(layout)
    for scenario in layout.site.scenarios.select_related("weather")[:1]:
        year = described(snapshot.inputs_now(layout, scenario))
        instant_answer(year)
        object_tables(solve_steady(year, [DESIGN]))


def _explore() -> None:
    chosen = [Product.objects.filter(kind=kind, slug=slug).first() for kind, slug in FIRST.items()]
    if all(chosen):
        explored(*chosen, ENGINES[0][0])
    recomputed_claims()
    for model in MODELS:
        model_evidence(model)
