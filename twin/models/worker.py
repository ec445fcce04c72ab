"""Workers as the pages know them: each writes a line of its own while it lives."""

from django.db import models


class Worker(models.Model):
    """The last sign of life of one worker process."""

    name = models.CharField(max_length=200, unique=True, help_text="Celery's name of it: name@machine.")
    n_slots = models.PositiveIntegerField(default=1, help_text="Runs it solves at once.")
    broker_problem = models.CharField(max_length=300, blank=True, help_text="Why it cannot reach the broker.")
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
