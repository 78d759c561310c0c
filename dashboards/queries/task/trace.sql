-- The spans of the task alone, as one trace: attempts, waits and runs. Its whole workflow is on the dashboard Workflow.
WITH spans AS MATERIALIZED (
    SELECT s.*
    FROM celerytrail_views.workflow_spans s
    -- The views of workflows are reached by the id of the workflow.
    WHERE s.workflow_id = ANY (ARRAY(
        SELECT coalesce(t.root_group_id, t.root_id, t.task_id)
        FROM celerytrail_views.tasks t
        WHERE t.task_id = ${task_id:sqlstring}
          AND
          -- include: deployment_filter as t
        ORDER BY t.updated_at DESC
        LIMIT 1
    ))
      AND s.task_id = ${task_id:sqlstring}
      AND
      -- include: deployment_filter as s
)
SELECT
    s."traceID",
    s."spanID",
    CASE WHEN EXISTS (SELECT FROM spans p WHERE p."spanID" = s."parentSpanID") THEN s."parentSpanID" END AS "parentSpanID",
    s."operationName",
    s."serviceName",
    s."startTime",
    s."duration",
    s."kind",
    s."statusCode",
    s."statusMessage",
    s."tags",
    s."serviceTags",
    s."logs",
    s."references"
FROM spans s
ORDER BY s."startTime", s."spanID"
LIMIT 1000
