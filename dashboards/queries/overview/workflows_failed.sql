-- Workflows with a failure in the time range, or a body that never ran, that nobody has retried or acknowledged; of the newest
-- 200 with a failure and the newest 200 without a body.
SELECT count(*) AS "failed"
FROM celerytrail_views.workflows w
-- The views of workflows are reached by the id of the workflow.
WHERE w.workflow_id = ANY (ARRAY(
    (
        SELECT coalesce(t.root_group_id, t.root_id, t.task_id)
        FROM celerytrail_views.tasks t
        WHERE $__timeFilter(t.finished_at)
          AND
          -- include: failed_states as t
          AND
          -- include: deployment_filter as t
        GROUP BY 1
        ORDER BY max(t.finished_at) DESC
        LIMIT 200
    )
    UNION ALL
    (
        SELECT c.workflow_id
        FROM celerytrail_views.chords c
        WHERE $__timeFilter(c.updated_at)
          -- Later than that it may still be under way.
          AND c.updated_at < now() - interval '1 minute'
          AND NOT c.body_seen
          AND
          -- include: deployment_filter as c
        GROUP BY 1
        ORDER BY max(c.updated_at) DESC
        LIMIT 200
    )
))
  AND w.needs_attention
  AND
  -- include: deployment_filter as w
