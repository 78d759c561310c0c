-- What the task is, what it belongs to, and what it was retried from and as. One row a deployment that has such an id.
SELECT
    t.task_name,
    t.task_id,
    t.state,
    t.queue,
    t.worker,
    t.first_sent_at,
    t.eta,
    coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
    t.parent_id,
    t.retry_of,
    t.retried_as,
    'zoom to its time' AS zoom,
    (extract(epoch FROM coalesce(t.first_sent_at, t.received_at, t.started_at, t.updated_at)) * 1000)::int8 - 2000 AS zoom_from,
    (extract(epoch FROM coalesce(t.finished_at, now())) * 1000)::int8 + 2000 AS zoom_to,
    t.namespace,
    t.service,
    t.environment,
    '' AS actions
FROM celerytrail_views.tasks t
WHERE t.task_id = ${task_id:sqlstring}
  AND
  -- include: deployment_filter as t
ORDER BY t.updated_at DESC
LIMIT 10
