"""A small real Django project on disk, its Celery app in one of the places where projects keep it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

APP = """
import os
from celery import Celery
app = Celery("{name}", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
app.conf.task_default_queue = "django"
app.conf.broker_connection_retry_on_startup = True
app.conf.beat_schedule = {{"tick": {{"task": "orders.add", "schedule": 0.2, "args": (1, 1)}}}}
app.set_default()
app.autodiscover_tasks(["orders"])
"""

SETTINGS = """
import os
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["testserver"]
INSTALLED_APPS = ["orders", "celerytrail.exporter.django"]
ROOT_URLCONF = "{package}.urls"
LOGGING = {{
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {{"stderr": {{"class": "logging.StreamHandler"}}}},
    "loggers": {{"celerytrail": {{"handlers": ["stderr"], "level": "INFO", "propagate": False}}}},
}}
{more}
"""

URLS = """
from django.urls import path
from orders.views import order
urlpatterns = [path("order/", order)]
"""

VIEWS = """
from django.http import JsonResponse
from orders.tasks import add
def order(request):
    return JsonResponse({"id": add.delay(1, 2).id})
"""

TASKS = """
from celery import shared_task
@shared_task(name="orders.add")
def add(x, y):
    return x + y
"""

WEB = """
import django
django.setup()
from django.test import Client
print(Client().get("/order/").json()["id"])
"""

MANAGE = """
import sys
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a project has its settings and its app; what ``celery -A`` is given."""

    name: str
    app_name: str
    app_file: str
    target: str
    settings_module: str = "proj.settings"
    imports: tuple[tuple[str, str], ...] = ()
    more_settings: str = ""

    def write(self, folder: Path, more_settings: str = "") -> None:
        """Write the project's files."""
        package = self.settings_module.partition(".")[0]
        settings = SETTINGS.format(package=package, more=f"{self.more_settings}\n{more_settings}")
        files = {
            "manage.py": MANAGE,
            "web.py": WEB,
            "orders/tasks.py": TASKS,
            "orders/views.py": VIEWS,
            f"{package}/urls.py": URLS,
            f"{self.settings_module.replace('.', '/')}.py": settings,
            self.app_file: APP.format(name=self.app_name),
            **dict(self.imports),
        }
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            for parent in path.relative_to(folder).parents:
                if parent != Path():
                    (folder / parent / "__init__.py").touch()


LAYOUTS = (
    Layout(
        "setting", "by_setting", "jobs/queue.py", "jobs.queue:app",
        more_settings='CELERY_APP = "jobs.queue:app"',
    ),
    Layout("celery", "by_celery", "proj/celery.py", "proj"),
    Layout(
        "celery_app", "by_celery_app", "config/celery_app.py", "config.celery_app",
        settings_module="config.settings.production",
    ),
    Layout(
        "package", "by_package", "proj/made.py", "proj:celery_app",
        imports=(("proj/__init__.py", "from proj.made import app as celery_app\n"),),
    ),
    Layout(
        "current", "by_current", "jobs/queue.py", "jobs.queue:app",
        imports=(("orders/__init__.py", "import jobs.queue\n"),),
    ),
)  # fmt: skip
