-- The task that failed first, and not because of another.
SELECT
    t.task_name,
    t.task_id,
    t.state,
    t.exception_class,
    trim(BOTH '"' FROM left(t.exception, 500)) AS message,
    t.queue,
    t.worker,
    t.finished_at,
    t.retried_as,
    (
        SELECT f.fingerprint
        FROM celerytrail_views.failures f
        WHERE f.task_id = t.task_id
          AND f.namespace = t.namespace AND f.service = t.service AND f.environment = t.environment
        ORDER BY f.event_time DESC
        LIMIT 1
    ) AS fingerprint,
    t.namespace,
    t.service,
    t.environment,
    '' AS actions
FROM celerytrail_views.tasks t
WHERE t.task_id = ANY (ARRAY(
    SELECT w.culprit_task_id
    FROM celerytrail_views.workflows w
    WHERE w.workflow_id = ${workflow_id:sqlstring}
      AND
      -- include: deployment_filter as w
))
  AND
  -- include: deployment_filter as t
ORDER BY t.updated_at DESC
LIMIT 10
