"""An app with settings that do not hurt. Runs on Celery 5.2 and on the newest."""

import os

from celery import Celery

app = Celery("sound_app", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])


@app.task(acks_late=True, reject_on_worker_lost=True, time_limit=60)
def quick():
    pass
