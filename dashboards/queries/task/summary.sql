-- The numbers of the task.
SELECT
    t.state AS "state",
    t.attempts AS "attempts",
    t.runs AS "runs",
    t.queue_wait_us / 1e6::float8 AS "waited",
    t.runtime_us / 1e6::float8 AS "ran",
    extract(epoch FROM t.finished_at - t.first_sent_at)::float8 AS "sent to end"
FROM celerytrail_views.tasks t
WHERE t.task_id = ${task_id:sqlstring}
  AND
  -- include: deployment_filter as t
ORDER BY t.updated_at DESC
LIMIT 1
