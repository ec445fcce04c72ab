"""WSGI entry point of the web server."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twin.settings")
application = get_wsgi_application()
_ = get_resolver().url_patterns  # loads every page and resource, as the first request would
# What is loaded stays: without this, collections walk it all again under every large batch of readings.
gc.collect()
gc.freeze()
