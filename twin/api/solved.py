"""Resources that a solver process answers: documented, signed in and permitted here, solved elsewhere."""

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.views import APIView

from twin import solver_door


class SolvedView(APIView):
    """A resource whose answer is solved. The class of the same resource in `twin.solvers` has another `respond`."""

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """Keep the body whole: a check of the session reads forms, which would leave nothing to hand on."""
        _ = request.body
        return super().initialize_request(request, *args, **kwargs)

    def respond(self, request: Request) -> Any:
        """Return the answer of a solver process."""
        return solver_door.solved(request._request)
