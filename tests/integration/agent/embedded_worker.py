"""A worker that is started in code, in a process that has published something before."""

import sys

from recorded_app import add, app

if sys.argv[1] == "instrument":
    from celerytrail.exporter.agent import instrument

    assert instrument(app)
else:
    import celerytrail.exporter.auto  # noqa: F401

add.delay(1, 1)
app.Worker(concurrency=2, loglevel="INFO", hostname="embedded@here").start()
