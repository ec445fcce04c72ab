"""Who is told that a run has ended: its starter, on the page they look at and, where they asked for it, by e-mail."""

import logging
from smtplib import SMTPException
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.http import HttpRequest
from django.urls import reverse

from facility.models import Preferences
from facility.permissions import visible_sites
from twin.core.figures_of_merit import BY_NAME, RANKED_BY
from twin.core.text.numbers import GAP, quantity_text
from twin.models import Run
from twin.outgoing import CallRefused, checked_addresses

AWAITED = "awaited_runs"  # key of the session
MOST_AWAITED = 20
MAIL_S = 20  # for the whole conversation with the mail server

logger = logging.getLogger(__name__)


def await_run(request: HttpRequest, run: Run) -> None:
    """Tell this session's pages when a run ends."""
    request.session[AWAITED] = [*request.session.get(AWAITED, []), str(run.pk)][-MOST_AWAITED:]


def ended_runs(request: HttpRequest) -> tuple[list[Run], bool]:
    """Return the awaited runs that have ended since the session was last told, and whether others are still awaited."""
    awaited = request.session.get(AWAITED, [])
    if not awaited:
        return [], False
    seen = Run.objects.filter(pk__in=awaited, layout__site__in=visible_sites(request.user))  # rights may have gone
    there = {str(run.pk): run for run in seen.defer(*Run.HEAVY).select_related("layout")}
    ended = [there[key] for key in awaited if key in there and there[key].ended]
    left = [key for key in awaited if key in there and not there[key].ended]
    if left != awaited:
        request.session[AWAITED] = left
    return ended, bool(left)


def run_mail(run_id: UUID) -> bool:
    """Mail a run's starter that it has ended, where they asked for it; return whether a mail went out.

    The mail server is under the rules for calls to other machines.

    Raises
    ------
    OSError
        If the mail server cannot be reached, or refuses.
    """
    run = Run.objects.defer(*Run.HEAVY).select_related("layout__site", "scenario", "created_by").get(pk=run_id)
    if not settings.EMAIL_IS_SET or run.created_by is None or not run.created_by.is_active or not run.created_by.email:
        return False
    wanted = Preferences.objects.filter(user=run.created_by, mail_runs=True).first()
    if wanted is None:
        return False
    try:
        checked_addresses(settings.EMAIL_HOST, settings.EMAIL_PORT)
    except CallRefused as refusal:
        logger.warning("no e-mail about run %s: %s", run.pk, refusal)
        return False
    subject = f"{run.layout.name}, {run.scenario.name}: run {run.get_status_display()}"
    text = mail_text(run, wanted.address)
    message = EmailMessage(subject, text, to=[run.created_by.email], connection=get_connection(timeout=MAIL_S))
    try:
        return bool(message.send())
    except SMTPException as error:
        raise OSError(f"the mail server refused: {error}") from error


def mail_text(run: Run, address: str) -> str:
    """Return what a mail says of an ended run."""
    figure = BY_NAME[RANKED_BY]
    of = f"{run.layout.name} ({run.layout.site.name}) under {run.scenario.name}"
    lines = [f"The run of {of} is {run.get_status_display()}."]
    if run.status == Run.Status.DONE and (value := (run.figures or {}).get(RANKED_BY)) is not None:
        lines.append(f"{figure.label}: {quantity_text(value, figure.unit).replace(GAP, ' ')}")
    elif run.message:
        lines.append(run.message)
    path = reverse("run-detail", args=[run.pk])
    lines += [f"{address.rstrip('/')}{path}" if address else f"Page: {path}", ""]
    lines.append("You asked for these e-mails in your preferences and can end them there.")
    return "\n".join(lines)
