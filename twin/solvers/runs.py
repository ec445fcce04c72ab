"""What runs and comparisons say beyond what is stored: launch settings and the verdict, answered."""

from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from twin.api import serializers
from twin.api.views import ComparisonViewSet, RunViewSet, query
from twin.comparisons.verdict import called, runs_verdict
from twin.core.results.details import run_details
from twin.core.serving.launch import launches_of_run
from twin.core.text.json_numbers import plain_json
from twin.runs.changed import is_changed
from twin.runs.snapshot import inputs_stored


class Runs(RunViewSet):
    """Simulated years, where their launch settings are chosen."""

    def respond(self, request: Request) -> Response:
        """Return the launch settings of a run."""
        run = self.done()
        return Response(launches_of_run(run_details(run.details).per_workload, inputs_stored(run.inputs)))


class Comparisons(ComparisonViewSet):
    """Comparisons, where their verdict is solved."""

    def respond(self, request: Request) -> Response:
        """Return the verdict."""
        _, runs = self.runs_compared()
        asked = query(serializers.VerdictQuestionSerializer, request)
        try:
            found = runs_verdict(runs, basis=asked["equal"], by=asked["by"])
        except ValueError as error:
            raise exceptions.ValidationError({"equal": f"these runs cannot be solved so: {error}"}) from error
        changed = [called(run) for run in runs if is_changed(run)]
        return Response(plain_json(found | {"changed_since": changed}))
