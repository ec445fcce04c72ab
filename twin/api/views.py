"""What if for programs: scenarios, runs and comparisons of the sites that the caller may see."""

import numpy as np
from django.db import IntegrityError
from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from facility.api.schema import RefusalSchema
from facility.permissions import Right, check_change_site, visible_sites
from twin.api import serializers
from twin.api.launch import RunLaunchSerializer
from twin.api.solved import SolvedView
from twin.api.state_shapes import SensitivitySerializer
from twin.api.states import sensitivity_body
from twin.comparisons import sharing
from twin.core.comparison.compare import compare
from twin.core.comparison.plan_difference import plan_difference
from twin.core.figures_of_merit import SERIES_BY_NAME
from twin.exceptions import CannotSimulate, InvalidTransition, KeyReused
from twin.models import Comparison, Run, Scenario, ScenarioWorkload
from twin.runs import jobs, services, snapshot
from twin.runs.sensitivity import sensitivity_ask

REPEATABLE = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeat a lost request without a second run."
)


class Conflict(exceptions.APIException):
    """The request is right, but not in the state that the thing is in."""

    status_code = status.HTTP_409_CONFLICT


class ScenarioViewSet(viewsets.ModelViewSet):
    """Questions that are put to the layouts of a site: what is served to whom, in which year, under which limits."""

    schema = RefusalSchema()
    serializer_class = serializers.ScenarioSerializer
    queryset = Scenario.objects.none()
    filterset_fields = {"site__slug": ["exact"], "slug": ["exact"]}

    def get_queryset(self) -> QuerySet[Scenario]:
        rows = Scenario.objects.filter(site__in=visible_sites(self.request.user)).order_by("site__slug", "name", "id")
        return (
            rows.select_related("site", "weather")
            .defer("weather__rows")
            .prefetch_related("workloads__workload", "workloads__model")
        )

    def perform_create(self, serializer) -> None:
        self._save(serializer, Scenario())

    def perform_update(self, serializer) -> None:
        check_change_site(self.request.user, serializer.instance.site)
        self._save(serializer, serializer.instance)

    def perform_destroy(self, instance: Scenario) -> None:
        services.scenario_delete(scenario=instance, user=self.request.user)

    def _save(self, serializer, scenario: Scenario) -> None:
        fields = dict(serializer.validated_data)
        shares = fields.pop("workloads", None)
        for name, value in fields.items():
            setattr(scenario, name, value)
        check_change_site(self.request.user, scenario.site)
        workloads = None if shares is None else [ScenarioWorkload(**share) for share in shares]
        saved = services.scenario_save(scenario=scenario, workloads=workloads, user=self.request.user)
        serializer.instance = self.get_queryset().get(pk=saved.pk)


class RunFilter(filters.FilterSet):
    site = filters.CharFilter("layout__site__slug")
    layout = filters.CharFilter("layout__slug")
    scenario = filters.CharFilter("scenario__slug")

    class Meta:
        model = Run
        fields = ["status"]


class RunViewSet(SolvedView, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Simulated years. POST queues one and answers at once; poll its address until `status` is done or failed."""

    schema = RefusalSchema()
    serializer_class = serializers.RunDetailSerializer
    queryset = Run.objects.none()
    filterset_class = RunFilter

    def get_queryset(self) -> QuerySet[Run]:
        rows = Run.objects.filter(layout__site__in=visible_sites(self.request.user)).order_by("-created_at", "id")
        return rows.select_related("layout__site", "scenario", "created_by").defer(*self._unread())

    def _unread(self) -> set[str]:
        """Return the heavy columns that this answer does not hold."""
        read = {
            "retrieve": "details",
            "series": "series",
            "racks": "racks",
            "inputs": "inputs",
            "sensitivity": "sensitivity",
        }.get(self.action)
        return set(Run.HEAVY) - {read}

    @extend_schema(responses=serializers.RunSerializer(many=True))
    def list(self, request: Request, *args, **kwargs) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(serializers.RunSerializer(page, many=True).data)

    @extend_schema(
        request=serializers.RunCreateSerializer, responses={202: serializers.RunSerializer}, parameters=[REPEATABLE]
    )
    def create(self, request: Request) -> Response:
        """Queue a run; the answer's Location is where it can be watched."""
        asked = serializers.RunCreateSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        check_change_site(request.user, asked.validated_data["layout"].site, Right.RUN)
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > 120:
            raise exceptions.ValidationError({"Idempotency-Key": f"It has {len(key)} characters; at most 120."})
        try:
            if key:
                run, _ = services.run_create_once(key=key, user=request.user, **asked.validated_data)
            else:
                run = services.run_create(user=request.user, **asked.validated_data)
        except CannotSimulate as refusal:
            raise exceptions.ValidationError(str(refusal)) from refusal
        except KeyReused as refusal:
            raise Conflict(str(refusal)) from refusal
        except IntegrityError as error:
            raise Conflict("Idempotency-Key is already in use by a concurrent request; repeat the request.") from error
        return self._accepted(run)

    @extend_schema(responses={202: serializers.RunSerializer})
    def destroy(self, request: Request, pk: str | None = None) -> Response:
        """Cancel a queued or running run; what it found so far is dropped, its row stays."""
        return self._changed(jobs.cancel)

    @extend_schema(request=None, responses={202: serializers.RunSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str | None = None) -> Response:
        """Queue a failed or cancelled run again, on the layout as it is now."""
        return self._changed(services.run_retry)

    @extend_schema(parameters=[serializers.SeriesQuerySerializer], responses=serializers.SeriesSerializer)
    @action(detail=True)
    def series(self, request: Request, pk: str | None = None) -> Response:
        """Return hourly arrays as plain lists, with names and units."""
        run = self.done()
        arrays = services.run_series(run)
        names = [name for name in request.query_params.get("names", "").split(",") if name] or list(arrays)
        if unknown := [name for name in names if name not in arrays]:
            message = f"{', '.join(unknown)}: this run has no such series; there are: {', '.join(arrays)}."
            raise exceptions.ValidationError({"names": message})
        return Response(
            {
                "run": run.id,
                "n_hours": max((len(values) for values in arrays.values()), default=0),
                "series": [_array(name, arrays[name]) for name in names],
            }
        )

    @extend_schema(responses=serializers.RacksSerializer)
    @action(detail=True)
    def racks(self, request: Request, pk: str | None = None) -> Response:
        """Return what each rack came to, as columns."""
        run = self.done()
        columns = {name: _plain(values) for name, values in services.run_racks(run).items()}
        return Response({"run": run.id, "n_racks": len(columns.get("rack_id", [])), "racks": columns})

    @extend_schema(responses={200: dict})
    @action(detail=True)
    def inputs(self, request: Request, pk: str | None = None) -> Response:
        """Return the snapshot that was solved; its canonical form has the hash `inputs_sha256`."""
        run = self.get_object()
        if run.inputs is None:
            raise Conflict(f"{run} is {run.status}; it has read no inputs yet.")
        return Response(snapshot.unpacked(run.inputs))

    @extend_schema(responses=RunLaunchSerializer(many=True), filters=False)
    @action(detail=True, pagination_class=None)
    def launch(self, request: Request, pk: str | None = None) -> Response:
        """Return launch settings for what serves each use case, for every engine."""
        return self.respond(request)

    @extend_schema(responses=SensitivitySerializer)
    @action(detail=True)
    def sensitivity(self, request: Request, pk: str | None = None) -> Response:
        """Return what each assumed or estimated input does to the figures, once a worker has computed it."""
        return Response(sensitivity_body(self.done()))

    @extend_schema(request=None, responses={202: SensitivitySerializer})
    @sensitivity.mapping.post
    def ask_sensitivity(self, request: Request, pk: str | None = None) -> Response:
        """Have a worker compute it; asking twice does nothing."""
        try:
            run = sensitivity_ask(run=self.get_object(), user=request.user)
        except InvalidTransition as refusal:
            raise Conflict(str(refusal)) from refusal
        return Response(sensitivity_body(run), status=status.HTTP_202_ACCEPTED)

    def done(self) -> Run:
        run = self.get_object()
        if run.status != Run.Status.DONE:
            raise Conflict(f"{run} is {run.status}; only a run that is done has results.")
        return run

    def _changed(self, service) -> Response:
        try:
            return self._accepted(service(self.get_object(), user=self.request.user))
        except InvalidTransition as refusal:
            raise Conflict(str(refusal)) from refusal

    def _accepted(self, run: Run) -> Response:
        address = reverse("api-run-detail", args=[run.id], request=self.request)
        shown = serializers.RunSerializer(self.get_queryset().get(pk=run.pk))
        return Response(shown.data, status=status.HTTP_202_ACCEPTED, headers={"Location": address})


class ComparisonViewSet(
    SolvedView,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """Two to six finished runs side by side; visible to whoever may see every site it touches, until it is revoked."""

    schema = RefusalSchema()
    serializer_class = serializers.ComparisonSerializer
    queryset = Comparison.objects.none()

    def get_queryset(self) -> QuerySet[Comparison]:
        order = Run.objects.only("id", "created_at").order_by("created_at", "id")
        return sharing.visible_comparisons(self.request.user).prefetch_related(Prefetch("runs", order))

    def perform_create(self, serializer) -> None:
        serializer.instance = sharing.comparison_create(user=self.request.user, **serializer.validated_data)

    def perform_destroy(self, instance: Comparison) -> None:
        if instance.created_by != self.request.user and not self.request.user.is_superuser:
            raise exceptions.PermissionDenied("Only its creator can delete a comparison.")
        instance.delete()

    @extend_schema(responses=serializers.ComparisonDetailSerializer, parameters=[serializers.ReferenceSerializer])
    def retrieve(self, request: Request, *args, **kwargs) -> Response:
        comparison, stored = self.runs_compared()
        runs = [sharing.as_compared(run) for run in stored]
        asked = query(serializers.ReferenceSerializer, request)
        _check_places(runs, asked)
        context = self.get_serializer_context() | {"compared": compare(runs, **asked), "runs": stored}
        return Response(serializers.ComparisonDetailSerializer(comparison, context=context).data)

    @extend_schema(responses=serializers.PlanDifferenceSerializer, parameters=[serializers.PairSerializer])
    @action(detail=True, url_path="plan-difference")
    def plan_difference(self, request: Request, pk: str | None = None) -> Response:
        """What differs between the layouts of two of its runs, on the plan and beside it."""
        _, runs = self._read()
        asked = query(serializers.PairSerializer, request)
        _check_places(runs, asked)
        difference = plan_difference(runs[asked["start"]].inputs, runs[asked["end"]].inputs)
        return Response(serializers.PlanDifferenceSerializer(difference).data)

    @extend_schema(responses=serializers.VerdictSerializer, parameters=[serializers.VerdictQuestionSerializer])
    @action(detail=True)
    def verdict(self, request: Request, pk: str | None = None) -> Response:
        """Which of its layouts to build, how sure that is and why; blocked layouts stand apart, unranked."""
        return self.respond(request)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str | None = None) -> Response:
        """Close its address for everybody; it is no longer listed."""
        sharing.comparison_revoke(comparison=self.get_object(), user=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _read(self) -> tuple[Comparison, list[dict]]:
        """Return the comparison and its runs as `twin.core.comparison.compare` reads them."""
        comparison, runs = self.runs_compared()
        return comparison, [sharing.as_compared(run) for run in runs]

    def runs_compared(self) -> tuple[Comparison, list[Run]]:
        comparison = self.get_object()
        found = Run.objects.filter(comparisons=comparison).select_related("layout__site", "scenario")
        runs = sharing.in_order(comparison, list(found.defer("series", "racks")))
        if len(runs) < Comparison.MIN_RUNS:
            raise Conflict("Runs of this comparison have been deleted; fewer than two are left.")
        return comparison, runs


def query(serializer: type, request: Request) -> dict:
    asked = serializer(data=request.query_params)
    asked.is_valid(raise_exception=True)
    return asked.validated_data


def _check_places(runs: list[dict], asked: dict) -> None:
    """Refuse places that the comparison does not have."""
    wrong = {
        name: f"It is {place}; this comparison has places 0 to {len(runs) - 1}."
        for name, place in asked.items()
        if place >= len(runs)
    }
    if wrong:
        raise exceptions.ValidationError(wrong)


def _array(name: str, values: np.ndarray) -> dict:
    known = SERIES_BY_NAME.get(name)
    return {
        "name": name,
        "label": known.label if known else name,
        "unit": known.unit if known else "",
        "values": _plain(values),
    }


def _plain(values: np.ndarray) -> list:
    """Return an array as JSON holds it: what is no number becomes null."""
    if values.dtype.kind != "f":
        return values.tolist()
    return [value if np.isfinite(value) else None for value in values.astype(float).tolist()]
