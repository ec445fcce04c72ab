"""Settings, from the environment only; everything has a default that works on one machine.

TWIN_HOME             where the embedded database, uploads and broker folders live (default ./var)
DATABASE_URL          postgres://user:password@host/name (default: SQLite in TWIN_HOME)
CELERY_BROKER_URL     redis://… or amqp://… (default: a folder in TWIN_HOME)
TWIN_REQUIRE_IF_MATCH 1: every change by the API says what it was made on (If-Match or version), else 428
TWIN_ALLOWED_NETWORKS networks of one's own that calls to other machines may reach, e.g. 10.20.0.0/16 (default: none)
TWIN_CA_FILE          certificates of one's own authority, for those calls
TWIN_PLANNERS_CALL    1: a site's planners may name machines to be called, not administrators alone
TWIN_CREDENTIAL_KEYS  keys that seal credentials, the newest first (default: made once and kept in TWIN_HOME, mode 600)
TWIN_RING_EVERY_S     how often a worker or `serve` looks for runs whose message was lost (default 5; 0: never)
TWIN_RUNS_KEPT_DAYS   runs that ended before are deleted where a newer one has taken their place (default: none is)
TWIN_SOLVES_HERE      1: a web process solves by itself instead of asking the solver processes of `serve`
TWIN_LOG              json: log lines as JSON, with a line for each request (default: text)
TWIN_METRICS_DIR      where processes of this machine count for /metrics (default: a folder in memory)
TWIN_MONITORING_NETWORKS  machines that read /metrics and the details of /health/ without a token, e.g. 10.20.0.5/32
TWIN_MIN_FREE_BYTES   free disk below which this installation is not ready (default 500,000,000)
TWIN_DATA_DIR         published and measured figures for `manage.py validate`
DJANGO_SECRET_KEY     (default: made once and kept in TWIN_HOME, mode 600)
DJANGO_ALLOWED_HOSTS  comma separated (default: this machine)
TWIN_HTTPS            1 behind HTTPS: secure cookies, HSTS, redirect
TWIN_OIDC_ISSUER      https://login.example.org: sign-in by this OpenID Connect provider (docs/operate/people.md)
TWIN_OIDC_CLIENT_ID   with TWIN_OIDC_CLIENT_SECRET; TWIN_OIDC_NAME (of the button), TWIN_OIDC_SCOPES, TWIN_OIDC_GROUPS,
                      TWIN_OIDC_GROUPS_CLAIM (default groups)
EMAIL_URL             smtp+tls://user:password@host:587: links to a new password by e-mail, from TWIN_EMAIL_FROM
DJANGO_DEBUG          1 while developing
"""

import hashlib
import ipaddress
import os
import stat
import tempfile
from pathlib import Path

import environ
import plotly
import pythonjsonlogger.core
from csp.constants import NONCE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from kombu import Queue

from twin import __version__

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
TWIN_HOME = Path(env("TWIN_HOME", default=str(BASE_DIR / "var"))).resolve()
try:
    TWIN_HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
    if TWIN_HOME.stat().st_uid == os.getuid() and not TWIN_HOME.stat().st_mode & stat.S_ISVTX:
        TWIN_HOME.chmod(0o700)  # database, uploads and keys are their owner's; never a shared folder such as /tmp
except OSError as error:
    raise ImproperlyConfigured(f"TWIN_HOME is {TWIN_HOME}, which cannot be made: {error}") from error
TWIN_DATA_DIR = Path(env("TWIN_DATA_DIR", default=str(BASE_DIR.parent / "shared" / "data")))


def local_secret_key() -> str:
    """Return a key that was made once and is kept beside the database, so that none is in the repository."""
    path = TWIN_HOME / "secret_key"
    if not path.exists() or not path.read_text():
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(get_random_secret_key())
        fresh.replace(path)  # atomic: two processes that start together never read half a key
    return path.read_text()


DEBUG = env.bool("DJANGO_DEBUG", default=False)
SECRET_KEY = env("DJANGO_SECRET_KEY", default="") or local_secret_key()
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("DJANGO_CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "csp",
    "facility",
    "twin",
]
MIDDLEWARE = [
    "twin.middleware.Counted",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "twin.middleware.SecureHeaders",
    "twin.middleware.BoundedBody",
    "twin.middleware.PageMethods",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "twin.middleware.ActedBy",
    "twin.middleware.ShownUnits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "twin.api.known_parameters.KnownParameters",
    "twin.middleware.Faults",
]
TWIN_SOLVES_HERE = env.bool("TWIN_SOLVES_HERE", default=False)
try:
    TWIN_MONITORING_NETWORKS = [ipaddress.ip_network(n) for n in env.list("TWIN_MONITORING_NETWORKS", default=[])]
except ValueError as error:
    raise ImproperlyConfigured(f"TWIN_MONITORING_NETWORKS: {error}; write 10.20.0.0/16") from error
TWIN_MIN_FREE_BYTES = env.int("TWIN_MIN_FREE_BYTES", default=500_000_000)
# Before the library of metrics is loaded, which reads it once. In memory: a full disk would end whoever counts.
_memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())
_home = hashlib.sha256(os.fsencode(TWIN_HOME)).hexdigest()[:16]
TWIN_METRICS_DIR = Path(env("TWIN_METRICS_DIR", default=str(_memory / f"twin-metrics-{os.getuid()}-{_home}")))
TWIN_METRICS_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
if TWIN_METRICS_DIR.stat().st_uid != os.getuid():
    raise ImproperlyConfigured(f"TWIN_METRICS_DIR is {TWIN_METRICS_DIR}, which belongs to somebody else")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(TWIN_METRICS_DIR)
TWIN_SOLVERS = env.int("TWIN_SOLVERS", default=0)  # solver processes beside this one; `serve` says it to its children
TWIN_WEB_PROCESSES = max(1, env.int("TWIN_WEB_PROCESSES", default=1))  # the same of web processes
ROOT_URLCONF = "twin.solvers.urls" if TWIN_SOLVES_HERE else "twin.urls"
WSGI_APPLICATION = "twin.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "twin.page_parts.units_shown",
            ]
        },
    }
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
TWIN_OIDC_ISSUER = env("TWIN_OIDC_ISSUER", default="")
TWIN_OIDC_CLIENT_ID, TWIN_OIDC_CLIENT_SECRET = (
    env("TWIN_OIDC_CLIENT_ID", default=""),
    env("TWIN_OIDC_CLIENT_SECRET", default=""),
)
TWIN_OIDC_NAME = env("TWIN_OIDC_NAME", default="single sign-on")
TWIN_OIDC_GROUPS = env("TWIN_OIDC_GROUPS", default="")
TWIN_OIDC_GROUPS_CLAIM = env("TWIN_OIDC_GROUPS_CLAIM", default="groups")
if TWIN_OIDC_ISSUER and not (TWIN_OIDC_CLIENT_ID and TWIN_OIDC_CLIENT_SECRET):
    raise ImproperlyConfigured("TWIN_OIDC_ISSUER is set; set TWIN_OIDC_CLIENT_ID and TWIN_OIDC_CLIENT_SECRET too")
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "twin.single_sign_on.Backend"]
OIDC_RP_SCOPES = env("TWIN_OIDC_SCOPES", default="openid email profile")  # from here on names of mozilla-django-oidc
OIDC_USE_PKCE, OIDC_AUTHENTICATION_CALLBACK_URL = True, "sso-callback"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{TWIN_HOME / 'twin.sqlite3'}")}
EMBEDDED_DATABASE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
if EMBEDDED_DATABASE and (database := Path(DATABASES["default"]["NAME"])).parent == TWIN_HOME:
    database.touch(mode=0o600)
    if database.stat().st_uid == os.getuid():
        database.chmod(0o600)  # SQLite gives its journal files the same mode
if EMBEDDED_DATABASE:  # these three stop "database is locked" with one web process and one worker
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "pages": {  # `twin.page_parts`: some 80 kB each
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "pages",
        "OPTIONS": {"MAX_ENTRIES": 200},
    },
    "descriptions": {  # `twin.runs.changed`: up to 2 kB each, two for every layout and scenario that a list shows
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "descriptions",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    },
}

# The run's row in the database is the truth; the broker is only the bell that wakes a worker.
CELERY_BROKER_URL = env("CELERY_BROKER_URL", default="filesystem://localhost")  # kombu warns about an empty host
EMBEDDED_BROKER = CELERY_BROKER_URL.startswith("filesystem://")
if EMBEDDED_BROKER:
    for folder in ("queue", "control"):
        (TWIN_HOME / "broker" / folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(TWIN_HOME / "broker" / "queue"),
        "data_folder_out": str(TWIN_HOME / "broker" / "queue"),
        "control_folder": str(TWIN_HOME / "broker" / "control"),
        "store_processed": False,
        "polling_interval": 0.2,
    }
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
    CELERY_WORKER_SEND_TASK_EVENTS = False
# A worker takes from both in turn: whoever asks for one run does not wait for somebody's sweep.
CELERY_TASK_QUEUES = [Queue(name, routing_key=name) for name in ("celery", "sweeps")]
CELERY_TASK_ROUTES = {"twin.tasks.sweep_point_solve": {"queue": "sweeps"}}
CELERY_TASK_IGNORE_RESULT = True  # the run's row holds the result
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker outlives its broker, however long that is away
CELERY_WORKER_CONSUMER = "twin.runs.worker_steps:PatientConsumer"
# A run that is being solved needs no broker: its result goes to the database, and a doubled message finds it claimed.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
if CELERY_BROKER_URL.startswith("redis"):  # a broker that hangs must not hold whoever asked; longer than its 10 s poll
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 4, "socket_timeout": 15, "socket_keepalive": True}
TWIN_REQUIRE_IF_MATCH = env.bool("TWIN_REQUIRE_IF_MATCH", default=False)
TWIN_ALLOWED_NETWORKS = env.list("TWIN_ALLOWED_NETWORKS", default=[])
TWIN_CA_FILE = env("TWIN_CA_FILE", default="")
TWIN_PLANNERS_CALL = env.bool("TWIN_PLANNERS_CALL", default=False)
TWIN_CREDENTIAL_KEYS = env.list("TWIN_CREDENTIAL_KEYS", default=[])
TWIN_RING_EVERY_S = env.float("TWIN_RING_EVERY_S", default=5.0)
if (_days := env("TWIN_RUNS_KEPT_DAYS", default="")) and not (_days.isascii() and _days.isdigit() and int(_days)):
    raise ImproperlyConfigured(f"TWIN_RUNS_KEPT_DAYS is {_days}; must be whole days, at least 1, or unset")
TWIN_RUNS_KEPT_DAYS = int(_days) if _days else None
CELERY_TASK_SOFT_TIME_LIMIT = 3600
CELERY_TASK_TIME_LIMIT = 3660

STATIC_URL = "static/"
STATIC_ROOT = TWIN_HOME / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns about a missing folder
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("plotly", str(Path(plotly.__file__).parent / "package_data")),  # plotly.min.js out of the wheel: no CDN
]
WHITENOISE_USE_FINDERS = True  # so that the default launch needs no collectstatic
MEDIA_ROOT = TWIN_HOME / "uploads"
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 2**20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000  # a form with a thousand racks

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "facility.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["facility.api.permissions.SitePermission"],
    "DEFAULT_PARSER_CLASSES": [
        "facility.api.parsers.BoundedJsonParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "facility.api.negotiation.JsonWhateverAccepted",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "facility.api.pagination.Pagination",
    "PAGE_SIZE": 100,
    "EXCEPTION_HANDLER": "facility.api.errors.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "twin.api.sources.options_of_any_kind",
    ],
    "TITLE": "AI-factory twin",
    "DESCRIPTION": "Describe AI factories, solve tokens, watts and kelvin together, compare layouts.",
    "VERSION": __version__,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {  # two resources have a "status"
        "RunStatusEnum": "twin.models.run.Run.Status",
        "LayoutStatusEnum": "facility.models.site.Layout.Status",
        "RoleEnum": "facility.models.floor.Rack.Role",  # and two a "role"
        "MemberRoleEnum": "facility.models.access.Membership.Role",
    },
}

EMPTY = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"  # of no characters
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        # What Plotly writes by itself: an empty element for the rules of each mode bar, its rules for maps, and on
        # cells of heat maps nothing, or that they stay sharp.
        "style-src": [SELF, NONCE, EMPTY, "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"],
        "style-src-attr": ["'unsafe-hashes'", EMPTY, "'sha256-AR/cKIZjWPcPmBUPDA6oti9XBiTbJvz0Cro2J1VzzS8='"],
        "img-src": [SELF, "data:", "blob:"],
        "worker-src": [SELF, "blob:"],
        "frame-ancestors": ["'none'"],
        "form-action": [SELF],
        "base-uri": [SELF],
    },
}
BEHIND_PROXY = env.bool("TWIN_HTTPS", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]  # asked by machines beside this one, without the proxy
    # Subdomains and preload lists bind hosts that are not ours: that is for the operator of the domain to say.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
else:  # plain HTTP on this machine only: `serve` refuses other machines without names, and the notes ask for HTTPS
    SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]
SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_AGE = 12 * 3600
EMAIL_IS_SET = bool(env("EMAIL_URL", default=""))  # for links to a new password
if EMAIL_IS_SET:
    vars().update(env.email_url("EMAIL_URL"))
    DEFAULT_FROM_EMAIL = env("TWIN_EMAIL_FROM", default="twin@localhost")
X_FRAME_OPTIONS = "DENY"

LOG_AS_JSON = {"text": False, "json": True}.get(env("TWIN_LOG", default="text"))
if LOG_AS_JSON is None:
    raise ImproperlyConfigured(f"TWIN_LOG is {env('TWIN_LOG')}; must be text or json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"ids": {"()": "twin.log_ids.Ids"}},
    "formatters": {
        "text": {"()": "twin.log_ids.Line"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "{asctime}{levelname}{name}{message}",
            "style": "{",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            "reserved_attrs": [*pythonjsonlogger.core.RESERVED_ATTRS, "ids", "request"],  # the last: Django's object
        },
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json" if LOG_AS_JSON else "text",
            "filters": ["ids"],
        }
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    # A mistyped address or form is the visitor's to correct; the console reports what is ours.
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.security": {"level": "WARNING"},
        "twin.requests": {"level": "INFO" if LOG_AS_JSON else "WARNING"},
        "twin.runs.jobs": {"level": "INFO" if LOG_AS_JSON else "WARNING"},
    },
}
