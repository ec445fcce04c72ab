"""Remedies of findings, tried where the rules are."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

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
from twin.remedies.trying import Key, NoRemedy, can_be_computed, preview, preview_all, take, take_all, take_back
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


def _key(asked: Mapping[str, Any]) -> Key:
    return asked["object_kind"], asked["object_id"], asked["rule"]


class Remedies(LayoutRemediesView):
    """What removes the findings of the rules in a layout."""

    def respond(self, request: Request) -> Response:
        """Return all remedies, or take one."""
        layout = asked_layout(request, self.kwargs["pk"])
        if request.method == "POST":
            check_change_site(request.user, layout.site)
            asked = checked(TakenQuestionSerializer(data=request.data))
            by = {"layout": layout, "version": asked["version"], "user": request.user}
            try:
                taken = take_all(rule=asked["rule"], **by) if asked["all"] else take(key=_key(asked), **by)
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
            if asked["all"]:
                shown = preview_all(layout, asked["rule"], scenario)
            else:
                shown = preview(layout, _key(asked), scenario)
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
