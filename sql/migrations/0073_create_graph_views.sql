-- Creates the graph of a workflow: its groups and tasks, and what followed what.
-- Safe: new views only.

SET LOCAL ROLE celerytrail_owner;

-- Which node of the graph stands for each task: itself, or, where there are too many to draw, all of the same
-- name that went the same way.
CREATE VIEW celerytrail.workflow_places AS
SELECT
    m.*,
    CASE
        WHEN m.members <= 60 THEN m.task_id
        ELSE 'tasks:' || m.name || ':' || m.outcome || CASE WHEN m.body_of IS NULL THEN '' ELSE ':body' END
    END AS node
FROM (
    SELECT
        n.*,
        CASE WHEN n.name_place <= 20 THEN coalesce(n.task_name, '?') ELSE 'other tasks' END AS name
    FROM (
        SELECT
            t.*,
            count(*) OVER same_workflow AS members,
            dense_rank() OVER (
                PARTITION BY t.workflow_id, t.namespace, t.service, t.environment ORDER BY t.task_name
            ) AS name_place
        FROM celerytrail.workflow_tasks t
        WINDOW same_workflow AS (PARTITION BY t.workflow_id, t.namespace, t.service, t.environment)
    ) AS n
) AS m;

-- Groups inside of the root group are nodes while tasks are, and while they are few.
CREATE VIEW celerytrail.workflow_inner_groups AS
SELECT g.*
FROM (
    SELECT
        i.*,
        count(*) OVER (PARTITION BY i.workflow_id, i.namespace, i.service, i.environment) AS siblings
    FROM celerytrail.workflow_groups i
    WHERE i.group_id <> i.workflow_id
) AS g
WHERE g.siblings <= 30
  AND (
      SELECT count(*)
      FROM celerytrail.tasks t
      WHERE coalesce(t.root_group_id, t.root_id, t.task_id) = g.workflow_id
        AND (t.namespace, t.service, t.environment) = (g.namespace, g.service, g.environment)
  ) <= 60;

CREATE VIEW celerytrail_views.workflow_nodes WITH (security_barrier = true) AS
SELECT
    w.namespace, w.service, w.environment, w.workflow_id,
    'group:' || w.workflow_id AS id, w.kind AS title, w.name AS subtitle,
    w.state AS mainstat, w.members || ' tasks' AS secondarystat,
    w.succeeded::float8 / w.members AS arc__succeeded,
    w.failed::float8 / w.members AS arc__failed,
    w.unfinished::float8 / w.members AS arc__unfinished,
    NULL::text AS detail__task_id, NULL::text AS detail__worker, NULL::text AS detail__exception
FROM celerytrail_views.workflows w
WHERE w.kind IN ('group', 'chord')
UNION ALL
SELECT
    g.namespace, g.service, g.environment, g.workflow_id, 'group:' || g.group_id, g.kind, m.name,
    m.failed || ' failed', m.members || ' tasks',
    m.succeeded::float8 / greatest(m.members, 1),
    CASE WHEN m.members = 0 THEN 0 ELSE m.failed::float8 / m.members END,
    CASE WHEN m.members = 0 THEN 1 ELSE m.unfinished::float8 / m.members END,
    NULL, NULL, NULL
FROM celerytrail.workflow_inner_groups g
CROSS JOIN LATERAL (
    SELECT
        count(*) AS members, min(t.task_name) AS name,
        count(*) FILTER (WHERE t.outcome = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE t.outcome = 'failed') AS failed,
        count(*) FILTER (WHERE t.outcome = 'unfinished') AS unfinished
    FROM celerytrail.workflow_tasks t
    WHERE t.workflow_id = g.workflow_id AND t.group_id = g.group_id
      AND (t.namespace, t.service, t.environment) = (g.namespace, g.service, g.environment)
) AS m
UNION ALL
SELECT
    p.namespace, p.service, p.environment, p.workflow_id, p.node, min(p.name),
    CASE WHEN count(*) = 1 THEN min(p.state) ELSE min(p.outcome) END,
    CASE
        WHEN count(*) > 1 THEN count(*) || ' tasks'
        WHEN max(p.runtime_us) IS NULL THEN ''
        ELSE round(max(p.runtime_us) / 1000000.0, 3) || ' s run'
    END,
    CASE WHEN max(p.queue_wait_us) IS NULL THEN '' ELSE round(max(p.queue_wait_us) / 1000000.0, 3) || ' s wait' END,
    count(*) FILTER (WHERE p.outcome = 'succeeded')::float8 / count(*),
    count(*) FILTER (WHERE p.outcome = 'failed')::float8 / count(*),
    count(*) FILTER (WHERE p.outcome = 'unfinished')::float8 / count(*),
    CASE WHEN count(*) = 1 THEN min(p.task_id) END,
    CASE WHEN count(*) = 1 THEN min(p.worker) END,
    CASE WHEN count(*) = 1 THEN min(p.exception_class) END
FROM celerytrail.workflow_places p
GROUP BY p.workflow_id, p.namespace, p.service, p.environment, p.node;
COMMENT ON VIEW celerytrail_views.workflow_nodes IS
    'The nodes of Grafana''s node graph: groups and tasks; above 60 tasks one node for each name and outcome.';

CREATE VIEW celerytrail_views.workflow_edges WITH (security_barrier = true) AS
SELECT
    e.namespace, e.service, e.environment, e.workflow_id,
    e.source || ' > ' || e.target AS id, e.source, e.target,
    CASE WHEN count(*) = 1 THEN '' ELSE count(*) || ' tasks' END AS mainstat
FROM (
    -- Each task follows who sent it, else its group; a body each of its headers.
    SELECT
        t.workflow_id, t.namespace, t.service, t.environment, t.node AS target,
        CASE
            WHEN h.node IS NOT NULL THEN h.node
            WHEN parent.node IS NOT NULL AND (t.group_id IS NULL OR parent.group_id = t.group_id) THEN parent.node
            WHEN g.group_id IS NOT NULL THEN 'group:' || g.group_id
            WHEN t.root_group_id IS NOT NULL THEN 'group:' || t.workflow_id
        END AS source
    FROM celerytrail.workflow_places t
    LEFT JOIN celerytrail.workflow_places h
        ON h.workflow_id = t.workflow_id AND h.group_id = t.body_of AND h.task_id <> t.task_id
       AND (h.namespace, h.service, h.environment) = (t.namespace, t.service, t.environment)
    LEFT JOIN celerytrail.workflow_places parent
        ON parent.workflow_id = t.workflow_id AND parent.task_id = t.parent_id
       AND (parent.namespace, parent.service, parent.environment) = (t.namespace, t.service, t.environment)
    LEFT JOIN celerytrail.workflow_inner_groups g
        ON g.workflow_id = t.workflow_id AND g.group_id = t.group_id
       AND (g.namespace, g.service, g.environment) = (t.namespace, t.service, t.environment)
    UNION ALL
    SELECT
        i.workflow_id, i.namespace, i.service, i.environment, 'group:' || i.group_id,
        coalesce(p.node, 'group:' || coalesce(o.group_id, i.workflow_id))
    FROM celerytrail.workflow_inner_groups i
    LEFT JOIN celerytrail.workflow_inner_groups o
        ON o.workflow_id = i.workflow_id AND o.span_id = i.parent_span_id AND o.group_id <> i.group_id
       AND (o.namespace, o.service, o.environment) = (i.namespace, i.service, i.environment)
    LEFT JOIN celerytrail.runs r
        ON r.run_id = i.parent_span_id
       AND (r.namespace, r.service, r.environment) = (i.namespace, i.service, i.environment)
    LEFT JOIN celerytrail.workflow_places p
        ON p.workflow_id = i.workflow_id AND p.task_id = r.task_id
       AND (p.namespace, p.service, p.environment) = (i.namespace, i.service, i.environment)
) AS e
WHERE e.source IS NOT NULL AND e.source <> e.target
GROUP BY e.workflow_id, e.namespace, e.service, e.environment, e.source, e.target;
COMMENT ON VIEW celerytrail_views.workflow_edges IS 'The edges of Grafana''s node graph: what followed what.';

GRANT SELECT ON celerytrail_views.workflow_nodes, celerytrail_views.workflow_edges TO celerytrail_grafana;
