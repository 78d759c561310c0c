-- What people and scripts did to the task, or were refused to do.
SELECT
    a.action_time,
    a.actor,
    a.verb,
    a.phase,
    a.result,
    a.new_task_id,
    a.reason,
    a.intent_id::text AS intent_id
FROM celerytrail_views.task_actions a
WHERE a.task_id = ${task_id:sqlstring}
  AND
  -- include: deployment_filter as a
ORDER BY a.action_time DESC
LIMIT 100
