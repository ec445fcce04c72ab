"""The glossary page."""

from itertools import groupby

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from twin.core.glossary import terms


@login_required
def glossary(request: HttpRequest) -> HttpResponse:
    """Show the words of the trade; each has an address of its own, which figures link to."""
    found = terms()
    letters = [(letter, list(group)) for letter, group in groupby(found, key=lambda term: term.name[0].upper())]
    return render(request, "twin/glossary.html", {"letters": letters, "n_terms": len(found)})
