-- Runs that take far longer than that task usually does, the longest first.
SELECT
    r.started_at,
    r.task_name,
    r.task_id,
    extract(epoch FROM now() - r.started_at)::float8 AS running,
    r.usual_us / 1e6::float8 AS usual,
    r.queue,
    r.worker,
    r.host,
    r.pid::text AS pid,
    CASE WHEN r.worker_is_silent THEN 'silent' WHEN r.worker_seen_at IS NULL THEN 'never heard' ELSE 'heard' END AS worker_is,
    r.namespace,
    r.service,
    r.environment,
    'started' AS state,
    '' AS actions
FROM celerytrail_views.stuck_runs r
WHERE
  -- include: task_filter as r
ORDER BY r.started_at, r.task_id
LIMIT 100
