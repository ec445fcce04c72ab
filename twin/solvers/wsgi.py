"""WSGI entry point of the solver processes: all pages and resources of the product, solved here where they solve."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twin.settings")
os.environ["TWIN_SOLVES_HERE"] = "1"
os.environ["TWIN_ROLE"] = "solver"  # in metrics and logs

from django.core.wsgi import get_wsgi_application  # noqa: E402  (reads the settings, which read the lines above)

from twin.solvers.interrupt import Interruptible  # noqa: E402

application = Interruptible(get_wsgi_application())

from twin.solvers.warm_up import warm_up  # noqa: E402  (models are there only now)

warm_up()
