"""The search page: one text over all that the user may see."""

from itertools import groupby

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from twin.search import MOST, MOST_OF_A_KIND, SearchError, search


@login_required
def search_page(request: HttpRequest) -> HttpResponse:
    """Show what was found, by kind."""
    asked = request.GET.get("q", "").strip()
    context: dict = {"asked": asked, "most": MOST, "most_of_a_kind": MOST_OF_A_KIND}
    if asked:
        try:
            found = search(request.user, asked)
        except SearchError as refusal:
            context["refused"] = str(refusal)
        else:
            context |= {
                "groups": [(kind, list(hits)) for kind, hits in groupby(found, key=lambda hit: hit.kind)],
                "n_found": len(found),
            }
    return render(request, "twin/search.html", context)
