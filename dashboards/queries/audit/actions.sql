-- What people and scripts did in the time range: the intent before anything happened, the outcome after, refusals.
SELECT
    a.action_time,
    a.actor,
    a.role,
    a.verb,
    a.phase,
    coalesce(
        a.detail ->> 'code',
        a.detail ->> 'state',
        CASE a.phase WHEN 'intent' THEN 'begun' WHEN 'refused' THEN 'refused' ELSE 'done' END
    ) AS result,
    coalesce(a.target ->> 'task_id', a.target ->> 'group_id', a.target ->> 'queue', a.target::text) AS target,
    coalesce(a.detail ->> 'message', a.detail ->> 'detail') AS message,
    a.reason,
    concat_ws('/', a.namespace, a.service, a.environment) AS deployment,
    a.actor_kind,
    a.request_id,
    a.target ->> 'task_id' AS task_id
FROM celerytrail_views.actions a
WHERE $__timeFilter(a.action_time)
  AND a.phase <> 'progress'
  AND (
      a.service IS NULL
      OR (
          -- include: deployment_filter as a
      )
  )
ORDER BY a.action_time DESC, a.action_id
LIMIT 300
