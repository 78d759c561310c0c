"""An app with settings that hurt. Runs on Celery 5.2 and on the newest."""

import os

from celery import Celery

app = Celery("troubled_app", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
app.conf.broker_transport_options = {"visibility_timeout": 60}


@app.task(acks_late=True, time_limit=600)
def slow():
    pass
