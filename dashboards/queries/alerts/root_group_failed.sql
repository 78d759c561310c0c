-- One row a group, chord or chain that failed and that nobody saw to: by its state, for as long as its newest failure is not
-- older than a day. The number is how many of its tasks failed.
SELECT
    w.workflow_id,
    w.kind,
    w.name AS workflow,
    w.culprit_task_name AS culprit,
    w.culprit_task_id AS culprit_id,
    coalesce(w.culprit_exception_class, 'none') AS culprit_exception,
    w.namespace,
    w.service,
    w.environment,
    w.failed::float8 AS failed
FROM celerytrail_views.failed_workflows w
-- The views of workflows are reached by the id of the workflow.
WHERE w.workflow_id = ANY (ARRAY(
    SELECT coalesce(t.root_group_id, t.root_id, t.task_id)
    FROM celerytrail_views.tasks t
    WHERE t.state NOT IN ('sent', 'received', 'started', 'retried', 'succeeded', 'ignored')
      AND t.finished_at > now() - interval '24 hours'
      -- Single tasks may fail by the thousand, and must not take the places of workflows.
      AND (
          coalesce(t.root_group_id, t.root_id, t.task_id) <> t.task_id
          OR EXISTS (SELECT FROM celerytrail_views.tasks c WHERE c.parent_id = t.task_id)
          -- Of a chain that failed at its first link nothing else is there.
          OR EXISTS (SELECT FROM celerytrail_views.chains f WHERE f.task_id = t.task_id)
      )
    GROUP BY 1
    ORDER BY max(t.finished_at) DESC
    LIMIT 2000
))
  AND w.kind IN ('group', 'chord', 'chain')
  AND w.needs_attention
ORDER BY w.finished_at DESC NULLS LAST, w.workflow_id
LIMIT 500
