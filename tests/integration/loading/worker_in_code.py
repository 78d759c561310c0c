"""A worker that is started in code, without Celery's command line. Runs on 5.2 and on the newest."""

import sys

from traced_app import app

if sys.argv[1] == "auto":
    import celerytrail.exporter.auto  # noqa: F401
elif sys.argv[1] == "instrument":
    from celerytrail.exporter.agent import instrument

    assert instrument(app)
app.Worker(pool="solo", loglevel="INFO").start()
