-- Workflows with a failure in the time range, or a body that never ran, that nobody has retried or acknowledged; of the newest
-- 200 with a failure and the newest 200 without a body.
SELECT
    (
        SELECT count(*)
        FROM celerytrail_views.failed_workflows w
        -- The views of workflows are reached by the id of the workflow.
        WHERE w.workflow_id = ANY (ARRAY(
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
        ))
          AND w.needs_attention
          AND
          -- include: deployment_filter as w
    ) + (
        -- In none of these did a task fail, so that nobody is counted twice.
        SELECT count(*)
        FROM celerytrail_views.workflows b
        WHERE b.workflow_id = ANY (ARRAY(
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
        ))
          AND b.state = 'body never ran'
          AND b.needs_attention
          AND
          -- include: deployment_filter as b
    ) AS "failed"
