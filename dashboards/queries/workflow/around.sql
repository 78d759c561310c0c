-- The chain that the workflow is part of: what began it, its own links and bodies, and what went on from it. They share their root task.
WITH members AS MATERIALIZED (
    SELECT m.task_id, m.task_name, m.state, m.role, m.root_id, m.first_sent_at, m.finished_at
    FROM celerytrail_views.workflow_members m
    WHERE m.workflow_id = ${workflow_id:sqlstring}
      AND
      -- include: deployment_filter as m
    ORDER BY m.first_sent_at
    LIMIT 2000
)
SELECT a.place, a.task_name, a.task_id, a.state, a.sent_at, a.finished_at, a.workflow_id
FROM (
    SELECT
        CASE m.role WHEN 'body' THEN 'body' ELSE 'link' END AS place, m.task_name, m.task_id, m.state,
        m.first_sent_at AS sent_at, m.finished_at, ${workflow_id:sqlstring} AS workflow_id
    FROM members m
    WHERE m.role IN ('link', 'body')
    UNION ALL
    SELECT
        CASE WHEN min(t.first_sent_at) < (SELECT min(m.first_sent_at) FROM members m) THEN 'before' ELSE 'after' END,
        CASE WHEN count(DISTINCT t.task_name) > 1 THEN min(t.task_name) || ', ...' ELSE min(t.task_name) END,
        min(t.task_id) FILTER (WHERE t.task_id = t.root_id OR t.parent_id IS NOT NULL),
        CASE WHEN count(*) = 1 THEN min(t.state) ELSE count(*) || ' tasks' END,
        min(t.first_sent_at), max(t.finished_at), coalesce(t.root_group_id, t.root_id, t.task_id)
    FROM celerytrail_views.tasks t
    WHERE t.root_id = ANY (ARRAY(SELECT m.root_id FROM members m))
      AND coalesce(t.root_group_id, t.root_id, t.task_id) <> ${workflow_id:sqlstring}
      AND
      -- include: deployment_filter as t
    GROUP BY coalesce(t.root_group_id, t.root_id, t.task_id)
) AS a
ORDER BY a.sent_at, a.task_id
LIMIT 200
