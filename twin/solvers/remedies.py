"""Remedies of findings, tried where the rules are."""

from dataclasses import asdict

from django.shortcuts import get_object_or_404
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response

from facility.models import Layout
from facility.permissions import check_change_site, visible_sites
from twin.api.remedies import (
    LayoutRemediesView,
    PreviewQuestionSerializer,
    PreviewSerializer,
    RemedyPreviewView,
    RemedySerializer,
    RemedyUndoView,
    TakenBackSerializer,
    TakenQuestionSerializer,
    TakenSerializer,
    UndoSerializer,
)
from twin.core.rules.remedies import REMEDIES
from twin.remedies.trying import NoRemedy, can_be_computed, preview, take, take_back
from twin.runs.findings import layout_findings
from twin.views.asked import BadQuestion, asked_scenario


class NothingComputed(exceptions.APIException):
    """No change that can be computed removes the finding."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "no_remedy"


def asked_layout(request: Request, pk: int) -> Layout:
    """Return the layout of that number among those that the caller may see, or answer 404."""
    return get_object_or_404(Layout.objects.filter(site__in=visible_sites(request.user)).select_related("site"), pk=pk)


def checked(serializer):
    """Return what was asked, or answer 400."""
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


class Remedies(LayoutRemediesView):
    """What removes the findings of the rules in a layout."""

    def respond(self, request: Request) -> Response:
        """Return all remedies, or take one."""
        layout = asked_layout(request, self.kwargs["pk"])
        if request.method == "POST":
            check_change_site(request.user, layout.site)
            asked = checked(TakenQuestionSerializer(data=request.data))
            key = (asked["object_kind"], asked["object_id"], asked["rule"])
            try:
                taken = take(layout=layout, key=key, version=asked["version"], user=request.user)
            except NoRemedy as none:
                raise NothingComputed(str(none)) from none
            return Response(TakenSerializer(asdict(taken)).data)
        rows = [
            asdict(finding) | {"remedy": REMEDIES[finding.rule].text, "computed": can_be_computed(finding.rule)}
            for finding in layout_findings(layout)
        ]
        return Response(RemedySerializer(rows, many=True).data)


class RemedyPreview(RemedyPreviewView):
    """What the remedy of one finding would do."""

    def respond(self, request: Request) -> Response:
        """Return the preview."""
        layout = asked_layout(request, self.kwargs["pk"])
        asked = checked(PreviewQuestionSerializer(data=request.query_params))
        try:
            is_asked = asked.get("scenario") or layout.site.scenarios.exists()
            scenario = asked_scenario(asked, layout) if is_asked else None
            shown = preview(layout, (asked["object_kind"], asked["object_id"], asked["rule"]), scenario)
        except BadQuestion as bad:
            raise exceptions.ValidationError({bad.field: [f"{bad}."]}) from bad
        except NoRemedy as none:
            raise NothingComputed(str(none)) from none
        return Response(PreviewSerializer(asdict(shown) | {"version": layout.version}).data)


class RemedyUndo(RemedyUndoView):
    """Takes a remedy back."""

    def respond(self, request: Request) -> Response:
        """Return the layout's new version."""
        layout = asked_layout(request, self.kwargs["pk"])
        check_change_site(request.user, layout.site)
        asked = checked(UndoSerializer(data=request.data))
        return Response(TakenBackSerializer({"version": take_back(layout=layout, user=request.user, **asked)}).data)
