"""All settings of plgops. The environment is read here and nowhere else; README lists the variables.

Nothing here asks whether tests are running. What is set wrongly is told by a system check with a hint
(plgops/checks.py) or stops the start.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from csp.constants import NONE, SELF

from plgops.lib import env

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.text("PLGOPS_VAR", str(BASE_DIR / "var")))  # SQLite file, broker socket, import uploads

# --- the installation ---------------------------------------------------------------------------------
DEBUG = env.flag("DEBUG", False)
SECRET_KEY = env.secret("SECRET_KEY", VAR_DIR / "secret_key")  # checks.py wants it set in production
SECRET_KEY_IS_SET = bool(env.text("SECRET_KEY"))
SITE_URL = env.text("SITE_URL", "http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", [])
TIME_ZONE = env.zone("PLGOPS_TIME_ZONE", "UTC")  # decides what a day is; stored at the first migration
WORKSPACE_NAME = env.text("PLGOPS_WORKSPACE", "plgops")  # stored at the first migration; the demo names itself
USE_TZ = True
USE_I18N = False
LANGUAGE_CODE = "en-us"

INSTALLED_APPS = [
    "plgops.apps.DeskConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
    "rest_framework",
    "drf_spectacular",
    "csp",
    "plgops",
    "accounts",
    "scoring",
    "support",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "plgops.lib.addresses.NoNulMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "plgops.lib.htmx.HtmxResponseMiddleware",
]
ROOT_URLCONF = "plgops.urls"
WSGI_APPLICATION = "plgops.wsgi.application"
APPEND_SLASH = False  # a redirect would lose a client's POST; pages have one spelling, the API has both
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
                "plgops.views.shell",
            ],
            "builtins": [
                "plgops.templatetags.ui",
                "plgops.templatetags.charts",
                "django_htmx.templatetags.django_htmx",
                "django.templatetags.static",
                "django.contrib.humanize.templatetags.humanize",
            ],
        },
    }
]

# --- data -----------------------------------------------------------------------------------------------
DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'plgops.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Without these, concurrent writers fail at once with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY;"
        ),
    }
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}  # a file, as in real life
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.number("DATABASE_CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A rule is hundreds of expressions over few rows: compiling them just in time takes longer than running them.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("options", "-c jit=off")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.StaffUser"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

# --- ingest ---------------------------------------------------------------------------------------------
INGEST_MAX_BODY = env.number("INGEST_MAX_BODY", 10_000_000)  # bytes, decoded
INGEST_MAX_BATCH = env.number("INGEST_MAX_BATCH", 20_000)  # messages of a request; it must be answered within 10 s
INGEST_MAX_MESSAGE = env.number("INGEST_MAX_MESSAGE", 32_768)  # bytes; larger ones go to quarantine
INGEST_SKEW_SECONDS = env.number("INGEST_SKEW_SECONDS", 300)  # a clock wrong by less is left alone
EVENT_NAMES_MAX = env.number("EVENT_NAMES_MAX", 5_000)  # different event names that may be sent; 0: no limit
INGEST_MAX_PER_SECOND = env.number("INGEST_MAX_PER_SECOND", 0)  # messages per source and process; 0: no limit
BACKFILL_DAYS = env.number("BACKFILL_DAYS", 30)  # older events open no handoff by themselves; 0: they do
DATA_UPLOAD_MAX_MEMORY_SIZE = INGEST_MAX_BODY + 1_000_000
# Who follows an account's changes: a row in AccountDue for each, and the task that wakes the consumer.
# DUE_ON_EVENTS: those of them who also decide by what people did; the others follow facts (plan, revenue…) only.
DUE_ON_EVENTS = ["evaluation"]
DUE_CONSUMERS = {
    "crm": "scoring.crm_push",
    "evaluation": "scoring.evaluate_due",
    "tiers": "support.assign_due",
}

# --- the usage lake: DuckDB, for questions about everybody ------------------------------------------------
LAKE_DIR = Path(env.text("LAKE_DIR", str(VAR_DIR / "lake")))
LAKE_MEMORY = env.number("LAKE_MEMORY", 1_000, least=100)  # MB, of each process that reads or builds it
LAKE_THREADS = env.number("LAKE_THREADS", 2, least=1)

# --- work in the background -----------------------------------------------------------------------------
BROKER_URL = env.text("BROKER_URL", f"redis+socket://{VAR_DIR / 'broker.sock'}")
CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 600
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000  # kB
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = 2
if BROKER_URL.startswith("redis"):
    # nobody waits long for a broker that hangs
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2, "socket_timeout": 5}
# What reads or writes the whole usage lake has a queue, and a worker, of its own: it takes minutes and LAKE_MEMORY, and
# what has just happened must not wait behind it.
CELERY_TASK_ROUTES = {
    name: {"queue": "lake"}
    for name in ("accounts.refresh_lake", "scoring.follow", "scoring.discover", "scoring.near_plays")
}
# A task is only a doorbell: it expires rather than pile up, and sending it never hangs a request.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "tell-alerts": {"task": "scoring.tell_alerts", "schedule": 2.0, "options": {"expires": 5}},
    "send-deliveries": {"task": "accounts.send_deliveries", "schedule": 2.0, "options": {"expires": 5}},
    "evaluate": {"task": "scoring.evaluate_due", "schedule": 1.0, "options": {"expires": 5}},
    "wake": {"task": "scoring.wake", "schedule": 15.0, "options": {"expires": 15}},
    "speed": {"task": "scoring.speed", "schedule": 5.0, "options": {"expires": 10}},
    "assign-tiers": {"task": "support.assign_due", "schedule": 5.0, "options": {"expires": 10}},
    "follow": {"task": "scoring.follow", "schedule": 10.0, "options": {"expires": 10}},
    "refresh-lake": {"task": "accounts.refresh_lake", "schedule": 60.0, "options": {"expires": 60}},
    "run-imports": {"task": "accounts.run_imports", "schedule": 5.0, "options": {"expires": 10}},
    "discover": {"task": "scoring.discover", "schedule": 5.0, "options": {"expires": 10}},
    "decide-plays": {"task": "scoring.decide_plays", "schedule": 1.0, "options": {"expires": 5}},
    "send-letters": {"task": "accounts.send_letters", "schedule": 5.0, "options": {"expires": 10}},
    "near-plays": {"task": "scoring.near_plays", "schedule": 60.0, "options": {"expires": 60}},
    "crm-push": {"task": "scoring.crm_push", "schedule": 2.0, "options": {"expires": 5}},
    "crm-pull": {"task": "scoring.crm_pull", "schedule": 15.0, "options": {"expires": 15}},
    "recount": {"task": "accounts.recount", "schedule": 5.0, "options": {"expires": 10}},
    "forget-messages": {"task": "accounts.forget_messages", "schedule": 3600.0, "options": {"expires": 3600}},
    "forget-alerts": {"task": "scoring.forget_alerts", "schedule": 3600.0, "options": {"expires": 3600}},
    "sweep-idempotency": {"task": "accounts.sweep_idempotency", "schedule": 600.0, "options": {"expires": 600}},
}

# --- messages to people and programs ----------------------------------------------------------------------
# Without EMAIL_URL, mail is written into files, as the page Alerts says: nothing leaves the machine.
EMAIL_URL = env.text("EMAIL_URL")  # smtp+tls://user:password@host:587
EMAIL_FILE_PATH = VAR_DIR / "outbox"
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
vars().update(env.mail("EMAIL_URL") if EMAIL_URL else {})
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", "plgops@localhost")
ALLOW_PRIVATE_WEBHOOKS = env.flag("ALLOW_PRIVATE_WEBHOOKS", False)  # webhooks to private hosts, and by http
# What happened, and what was sent of it; 0: for ever. The forecast of alerts looks back four weeks.
ALERTS_KEPT_DAYS = env.number("ALERTS_KEPT_DAYS", 90)
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS", [])  # former keys, still read
HUBSPOT_URL = env.text("HUBSPOT_URL", "https://api.hubapi.com").rstrip("/")
CRM_PULL_SECONDS = env.number("CRM_PULL_SECONDS", 300, least=30)  # how often the CRM is asked what changed there
# Kind of fact -> the function that says it (accounts/team/deliveries.py).
DELIVERY_WORDS = {"alert": "scoring.alert_words.words"}
LETTER_WORDS = {"nudge": "scoring.nudge_mail.words"}  # the same for e-mail to people of the customer

# --- what the browser gets ------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.text("PLGOPS_STATIC_ROOT", str(BASE_DIR / "staticfiles")))
# the font comes straight out of its wheel: nothing vendored, nothing built
STATICFILES_DIRS = [BASE_DIR / "static", ("fonts", str(files("fontpkg_geist") / "files"))]
STATIC_HASHED = env.flag("STATIC_HASHED", False)  # production: collectstatic, hashed and compressed names
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_HASHED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not STATIC_HASHED
MEDIA_ROOT = VAR_DIR / "media"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "object-src": [NONE],
    }
}
SECURE_COOKIES = env.flag("SECURE_COOKIES", SITE_URL.startswith("https://"))
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "plgops.views.csrf_failure"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("BEHIND_TLS_PROXY", False) else None
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", 0)  # how many stand in front; each appends to X-Forwarded-For
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", False)
SECURE_REDIRECT_EXEMPT = [r"^v1/"]  # tracking clients follow a redirect without the body: the batch would be lost
SECURE_HSTS_SECONDS = env.number("SECURE_HSTS_SECONDS", 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
API_PER_MINUTE = env.number("API_PER_MINUTE", 600)  # requests of a token, in each web process; 0: no limit
SPECTACULAR_SETTINGS = {
    "TITLE": "plgops",
    "VERSION": "1",
    "DESCRIPTION": "Accounts, people, why accounts qualify, handoffs, definitions and plays, for programs. "
    "How it all works: docs/api.md.",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SCHEMA_PATH_PREFIX_TRIM": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "plgops.api_docs.details"],
    "AUTHENTICATION_WHITELIST": ["accounts.rest.asking.TokenAuthentication"],
    "ENUM_NAME_OVERRIDES": {
        "QualificationCause": "scoring.models.Qualification.Cause",
        "CloseCause": "scoring.models.Qualification.CloseCause",
        "HandoffStatus": "scoring.models.Handoff.Status",
        "PlayStatus": "scoring.models.Play.Status",
        "ActivityKind": "scoring.models.HandoffActivity.Kind",
        "DefinitionPurpose": "scoring.models.definitions.Purpose",
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "plgops.lib.logs.Line", "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.level("LOG_LEVEL", "INFO")},
}
