-- The numbers of the workflow.
SELECT
    w.state AS "state",
    w.members AS "members",
    w.failed AS "failed",
    w.unfinished AS "unfinished",
    m.queue_wait_us / 1e6 AS "longest wait",
    extract(epoch FROM coalesce(w.finished_at, now()) - w.started_at)::float8 AS "duration",
    coalesce(w.culprit_task_name, 'none') AS "culprit"
FROM celerytrail_views.workflows w
LEFT JOIN (
    SELECT v.namespace, v.service, v.environment, max(v.queue_wait_us) AS queue_wait_us
    FROM celerytrail_views.workflow_members v
    WHERE v.workflow_id = ${workflow_id:sqlstring}
    GROUP BY v.namespace, v.service, v.environment
) AS m ON m.namespace = w.namespace AND m.service = w.service AND m.environment = w.environment
WHERE w.workflow_id = ${workflow_id:sqlstring}
  AND
  -- include: deployment_filter as w
ORDER BY w.updated_at DESC
LIMIT 1
