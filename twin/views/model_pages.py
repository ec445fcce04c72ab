"""The pages of `docs/model` as help: the equations that the solvers use, read from the files that the repository has.

They use little of Markdown (headings, paragraphs, lists, indented equations, code, links to each other), so that little
is all that is read here; everything else is shown as it is written.
"""

import re
from html import escape
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

FOLDER = Path(settings.BASE_DIR) / "docs" / "model"
LINK = re.compile(r"\[([^\]]+)\]\(([\w-]+)\.md\)")
CODE = re.compile(r"`([^`]+)`")


@login_required
def model_index(request: HttpRequest) -> HttpResponse:
    """List the subjects."""
    return render(request, "twin/model_pages.html", {"pages": [(slug, title_of(slug)) for slug in slugs()]})


@login_required
def model_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one subject."""
    if slug not in slugs():
        raise Http404(f"The model has no page {slug}; there are {', '.join(slugs())}")
    _, _, body = text_of(slug).partition("\n")
    return render(request, "twin/model_page.html", {"title": title_of(slug), "body": as_html(body)})


def slugs() -> list[str]:
    """Return the subjects, which are the files' names."""
    return sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")


def text_of(slug: str) -> str:
    """Return a page as it is written."""
    return (FOLDER / f"{slug}.md").read_text(encoding="utf-8")


def title_of(slug: str) -> str:
    """Return the heading of a page."""
    return text_of(slug).partition("\n")[0].removeprefix("# ")


def as_html(text: str) -> SafeString:
    """Return a page's text as HTML, escaped; blocks are parted by empty lines."""
    return mark_safe("\n".join(_block(block) for block in re.split(r"\n\s*\n", text.strip("\n")) if block.strip()))


def _block(block: str) -> str:
    if block.startswith("## "):
        return f"<h2>{_inline(block.removeprefix('## '))}</h2>"
    if all(line.startswith("    ") for line in block.splitlines()):
        return f'<pre class="launch">{escape(block)}</pre>'
    before, *items = re.split(r"^- ", block, flags=re.MULTILINE)
    paragraph = f"<p>{_inline(before)}</p>" if before.strip() else ""
    listed = "".join(f"<li>{_inline(item)}</li>" for item in items)
    return paragraph + (f"<ul>{listed}</ul>" if listed else "")


def _inline(text: str) -> str:
    html = CODE.sub(r"<code>\1</code>", escape(" ".join(text.split())))
    return LINK.sub(lambda found: f'<a href="{reverse("model-page", args=[found[2]])}">{_title(found[2])}</a>', html)


def _title(slug: str) -> str:
    return escape(title_of(slug)) if slug in slugs() else slug
