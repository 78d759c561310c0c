-- Age of the oldest message that is due and that no worker has begun, of the last seven days.
SELECT extract(epoch FROM now() - min(coalesce(greatest(t.sent_at, t.eta), t.received_at)))::float8 AS "age"
FROM celerytrail_views.tasks t
WHERE t.state IN ('sent', 'received')
  AND t.updated_at >= now() - interval '7 days'
  AND (t.eta IS NULL OR t.eta <= now())
  AND
  -- include: task_filter as t
