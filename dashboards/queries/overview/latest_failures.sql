-- The tasks that failed last.
SELECT
    t.finished_at,
    t.task_name,
    t.task_id,
    t.state,
    t.exception_class,
    t.queue,
    t.worker,
    coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id
FROM celerytrail_views.tasks t
WHERE $__timeFilter(t.finished_at)
  AND
  -- include: failed_states as t
  AND
  -- include: task_filter as t
  AND
  -- include: state_filter as t
ORDER BY t.finished_at DESC, t.task_id
LIMIT 50
