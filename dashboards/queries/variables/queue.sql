-- Queues of the newest tasks, and those that a worker said it consumes.
SELECT q.queue AS __text, q.queue AS __value
FROM celerytrail_views.queue_names q
ORDER BY 1
LIMIT 1000
