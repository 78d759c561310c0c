-- The tasks that failed in the time range, each with its newest failure, the newest first; of one kind where that is chosen.
-- What a button needs is in every row.
WITH newest AS MATERIALIZED (
    SELECT f.task_id, f.namespace, f.service, f.environment, max(f.event_time) AS failed_at, count(*) AS failures
    FROM celerytrail_views.failures f
    WHERE $__timeFilter(f.event_time)
      AND ('' = ${fingerprint:sqlstring} OR f.fingerprint = ${fingerprint:sqlstring})
      AND
      -- include: task_filter as f
    GROUP BY f.task_id, f.namespace, f.service, f.environment
    ORDER BY max(f.event_time) DESC, f.task_id
    LIMIT 500
)
SELECT
    n.failed_at,
    t.task_name,
    t.task_id,
    t.state,
    n.failures,
    t.exception_class,
    trim(BOTH '"' FROM left(t.exception, 300)) AS message,
    t.queue,
    t.worker,
    coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
    t.retried_as,
    t.namespace,
    t.service,
    t.environment,
    '' AS actions
FROM newest n
CROSS JOIN LATERAL (
    SELECT
        v.task_name, v.task_id, v.state, v.exception_class, v.exception, v.queue, v.worker, v.root_group_id, v.root_id,
        v.retried_as, v.namespace, v.service, v.environment
    FROM celerytrail_views.tasks v
    WHERE v.task_id = n.task_id
      AND v.namespace = n.namespace AND v.service = n.service AND v.environment = n.environment
    -- Keeps this from being merged into a join, which would read every task.
    OFFSET 0
) AS t
WHERE
  -- include: state_filter as t
ORDER BY n.failed_at DESC, t.task_id
LIMIT 200
