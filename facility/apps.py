"""What exists: sites, layouts, halls, racks, CDUs, feeds, plants and the catalogue."""

from django.apps import AppConfig


class FacilityConfig(AppConfig):
    name = "facility"
    verbose_name = "Facility"

    def ready(self) -> None:
        from django.contrib.auth import get_user_model
        from django.contrib.auth.models import Group

        from facility.models import audited
        from facility.user_names import check_user_name

        # Where every door looks; not among the arguments of the field, which are Django's.
        get_user_model()._meta.get_field("username").validators.append(check_user_name)
        audited.watch(get_user_model(), without=("last_login",), secret=("password",))
        audited.watch(Group)
        audited.watch_links()
