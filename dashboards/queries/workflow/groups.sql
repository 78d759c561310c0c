-- The groups and chords of the workflow, the outermost first. What a button needs is in every row.
WITH members AS MATERIALIZED (
    SELECT m.namespace, m.service, m.environment, m.task_id, m.state
    FROM celerytrail_views.workflow_members m
    WHERE m.workflow_id = ${workflow_id:sqlstring}
)
SELECT
    g.kind,
    g.group_id,
    g.members::text AS members,
    g.size,
    g.succeeded,
    g.failed,
    g.unfinished,
    CASE
        WHEN g.chord_body_id IS NULL THEN CASE WHEN g.kind = 'chord' THEN 'not known' END
        ELSE coalesce(b.state, 'never sent')
    END AS body_state,
    g.chord_body_id,
    CASE WHEN g.kind = 'chord' OR g.chord_body_id IS NOT NULL THEN 'preview, then retry' END AS preview,
    g.namespace,
    g.service,
    g.environment,
    '' AS actions
FROM celerytrail_views.groups g
LEFT JOIN members b
    ON b.task_id = g.chord_body_id
   AND b.namespace = g.namespace AND b.service = g.service AND b.environment = g.environment
WHERE (g.group_id = ${workflow_id:sqlstring} OR g.root_group_id = ${workflow_id:sqlstring})
  AND
  -- include: deployment_filter as g
ORDER BY g.group_id <> ${workflow_id:sqlstring}, g.first_sent_at, g.group_id
LIMIT 100
