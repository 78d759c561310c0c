-- Every execution of every attempt. More than one of an attempt: the message was delivered again.
SELECT
    r.retries + 1 AS attempt,
    r.state,
    r.started_at,
    r.queue_wait_us / 1e6::float8 AS queue_wait,
    r.runtime_us / 1e6::float8 AS runtime,
    r.finished_at,
    r.exception_class,
    r.worker,
    r.host,
    r.pid,
    r.queue,
    CASE WHEN r.ended_from_outside THEN 'the worker''s main process' ELSE 'the process that ran it' END AS told_by,
    r.run_id
FROM celerytrail_views.runs r
WHERE r.task_id = ${task_id:sqlstring}
  AND
  -- include: deployment_filter as r
ORDER BY r.started_at, r.run_id
LIMIT 200
