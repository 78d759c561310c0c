-- The tasks of the workflow: what failed first, then in the order of sending. What a button needs is in every row.
SELECT
    m.role,
    m.index,
    m.task_name,
    m.task_id,
    m.state,
    m.attempts,
    m.queue_wait_us / 1e6 AS queue_wait,
    m.runtime_us / 1e6 AS runtime,
    m.exception_class,
    m.queue,
    m.worker,
    m.first_sent_at,
    m.retried_as,
    m.namespace,
    m.service,
    m.environment,
    '' AS actions
FROM celerytrail_views.workflow_members m
WHERE m.workflow_id = ${workflow_id:sqlstring}
  AND
  -- include: task_filter as m
  AND
  -- include: state_filter as m
ORDER BY m.failed DESC, m.first_sent_at, m.index, m.task_id
LIMIT 500
