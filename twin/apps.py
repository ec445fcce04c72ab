"""What if: scenarios, runs, comparisons, telemetry."""

from django.apps import AppConfig


class TwinConfig(AppConfig):
    name = "twin"
    verbose_name = "Twin"

    def ready(self) -> None:
        from twin import celery  # noqa: F401  (tasks bind to this app)
