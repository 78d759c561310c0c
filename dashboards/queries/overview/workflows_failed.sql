-- Workflows with a failure in the time range, or a body that never ran, that nobody has retried or acknowledged; 200 at most.
SELECT count(*) AS "failed"
FROM celerytrail_views.workflows w
-- The views of workflows are reached by the id of the workflow.
WHERE w.workflow_id = ANY (ARRAY(
    SELECT f.workflow_id
    FROM (
        SELECT coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id, t.finished_at AS at
        FROM celerytrail_views.tasks t
        WHERE $__timeFilter(t.finished_at)
          AND
          -- include: failed_states as t
          AND
          -- include: deployment_filter as t
        UNION ALL
        SELECT coalesce(g.root_group_id, g.group_id), g.updated_at
        FROM celerytrail_views.groups g
        WHERE $__timeFilter(g.updated_at)
          AND g.kind = 'chord'
          AND g.failed = 0
          AND g.unfinished = 0
          AND
          -- include: deployment_filter as g
    ) AS f
    GROUP BY f.workflow_id
    ORDER BY max(f.at) DESC
    LIMIT 200
))
  AND w.needs_attention
  AND
  -- include: deployment_filter as w
