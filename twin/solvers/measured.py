"""A measured run of one's own beside its prediction, answered."""

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from facility.catalogue.names import with_ids
from twin.api.measured import MeasuredRunSerializer, MeasuredView
from twin.core.serving.measured import laid_beside
from twin.floor.products import entries_by_column


class Measured(MeasuredView):
    """Lay measured runs beside their predictions: error, band, and which term of a step could be off."""

    def respond(self, request: Request) -> Response:
        """Return the runs beside their predictions."""
        asked = MeasuredRunSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        known = entries_by_column()
        try:
            found = laid_beside(
                asked.validated_data["result"],
                asked.validated_data["deployment"],
                known["accelerator"],
                known["model"],
                lambda rows: with_ids(rows, known),
            )
        except ValueError as refusal:
            raise ValidationError({"result": [str(refusal)]}) from refusal
        return Response(found)
