"""What exists: sites, layouts, halls, racks, CDUs, feeds, plants and the catalogue."""

from django.apps import AppConfig


class FacilityConfig(AppConfig):
    name = "facility"
    verbose_name = "Facility"

    def ready(self) -> None:
        from facility import preferences, users  # noqa: F401  (need the models, which are there only now; both listen)

        users.watch()
