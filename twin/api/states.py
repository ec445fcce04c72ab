"""A layout as it is described now, solved while one waits: states, instant answers, drills, rankings and repairs.

Nothing is stored. Pages ask with their session, programs with a token. `twin.solvers.states` answers.
"""

from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from facility.api.schema import LayoutQuestionSchema
from twin.api import state_shapes as shapes
from twin.api.solved import SolvedView
from twin.models import Run
from twin.runs.sensitivity import is_pending


@method_decorator(never_cache, name="dispatch")
class LayoutQuestionView(SolvedView):
    """A question about a layout as it is described now, under a scenario of its site."""

    schema = LayoutQuestionSchema()
    parameters: tuple[str, ...] = ("scenario",)


class StateView(LayoutQuestionView):
    """States of all objects of a layout."""

    parameters = ("scenario", "hours", "out", "quantities")

    @extend_schema(
        parameters=[shapes.SCENARIO, shapes.HOURS, shapes.OUT, shapes.ONLY],
        responses=shapes.StateSerializer,
        operation_id="layouts_state_retrieve",
    )
    def get(self, request: Request, pk: int) -> Response:
        """Return every object's state at the asked hours with the asked units out of service."""
        return self.respond(request)


class AnswerView(LayoutQuestionView):
    """Instant answers."""

    @extend_schema(
        parameters=[shapes.SCENARIO], responses=shapes.AnswerSerializer, operation_id="layouts_answer_retrieve"
    )
    def get(self, request: Request, pk: int) -> Response:
        """Return the headline figures, margins and findings of the layout, estimated at once."""
        return self.respond(request)


class DrillView(LayoutQuestionView):
    """Failure drills."""

    parameters = ("scenario", "hour", "out", "quantities")

    @extend_schema(
        parameters=[shapes.SCENARIO, shapes.ONE_HOUR, shapes.OUT, shapes.ONLY],
        responses=shapes.DrillSerializer,
        operation_id="layouts_drill_retrieve",
    )
    def get(self, request: Request, pk: int) -> Response:
        """Return the layout's state with the asked units out, beside what it was before."""
        return self.respond(request)


class RankingsView(LayoutQuestionView):
    """Single failures ranked."""

    @extend_schema(
        parameters=[shapes.SCENARIO], responses=shapes.RankingsSerializer, operation_id="layouts_rankings_retrieve"
    )
    def get(self, request: Request, pk: int) -> Response:
        """Return what each single failure costs at the design hour, worst first."""
        return self.respond(request)


class SensitivityView(LayoutQuestionView):
    """What each assumed or estimated input does to the figures, as a worker found it; read where questions are."""

    @extend_schema(
        parameters=[shapes.SCENARIO],
        responses=shapes.SensitivitySerializer,
        operation_id="layouts_sensitivity_retrieve",
    )
    def get(self, request: Request, pk: int) -> Response:
        """Return the tornado of the layout's newest finished run; `runs/{id}/sensitivity/` has it computed."""
        return self.respond(request)


def sensitivity_body(run: Run) -> dict[str, Any]:
    """Return the tornado of a run as the API writes it."""
    kept = run.sensitivity or {}
    state = "done" if "rows" in kept else "pending" if is_pending(run) else "failed" if kept else "not asked"
    return {
        "run": str(run.id),
        "scenario": run.scenario.slug,
        "status": state,
        "message": kept.get("message", ""),
        "rows": kept.get("rows"),
    }


class RepairsView(LayoutQuestionView):
    """Repairs of the worst single failures."""

    @extend_schema(
        parameters=[shapes.SCENARIO], responses=shapes.RepairsSerializer, operation_id="layouts_repairs_retrieve"
    )
    def get(self, request: Request, pk: int) -> Response:
        """Return changes that help against the worst single failures, each tried: applied and solved again."""
        return self.respond(request)


class DiagramView(LayoutQuestionView):
    """Texts of the one-line or the loop diagram."""

    parameters = ("scenario", "hours")
    kind: Any = None  # of `twin.views.diagrams`, where it is answered

    @extend_schema(parameters=[shapes.SCENARIO, shapes.HOURS], responses=shapes.DiagramSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """Return the texts of each symbol of the diagram at the asked hours."""
        return self.respond(request)
