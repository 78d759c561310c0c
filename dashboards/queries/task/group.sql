-- The chord or group that the task is a member of, or the body of.
SELECT
    g.kind,
    g.group_id,
    CASE WHEN g.group_id = t.group_id THEN 'member' ELSE 'body' END AS part,
    g.members::text AS members,
    g.size,
    g.succeeded,
    g.failed,
    g.unfinished,
    g.chord_body_id,
    coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
    g.namespace,
    g.service,
    g.environment,
    '' AS actions
FROM (
    SELECT v.task_id, v.group_id, v.root_id, v.root_group_id, v.chord_body_id, v.namespace, v.service, v.environment
    FROM celerytrail_views.tasks v
    WHERE v.task_id = ${task_id:sqlstring}
      AND
      -- include: deployment_filter as v
) AS t
CROSS JOIN LATERAL (
    SELECT m.*
    FROM celerytrail_views.groups m
    WHERE m.group_id = t.group_id
      AND m.namespace = t.namespace AND m.service = t.service AND m.environment = t.environment
    UNION ALL
    SELECT m.*
    FROM celerytrail_views.groups m
    WHERE m.chord_body_id = t.task_id
      AND m.namespace = t.namespace AND m.service = t.service AND m.environment = t.environment
) AS g
ORDER BY part DESC, g.group_id
LIMIT 10
