-- The spans of the task alone, as one trace: attempts, waits and runs under one root. Its whole workflow is on the dashboard Workflow.
WITH task AS MATERIALIZED (
    -- An id that several deployments know of is one of the newest: a trace may have one root only.
    SELECT
        t.namespace, t.service, t.environment, t.task_name, t.state, t.attempts,
        coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id
    FROM celerytrail_views.tasks t
    WHERE t.task_id = ${task_id:sqlstring}
      AND
      -- include: deployment_filter as t
    ORDER BY t.updated_at DESC
    LIMIT 1
), bars AS MATERIALIZED (
    SELECT s.*
    FROM celerytrail_views.task_spans s
    WHERE s.task_id = ${task_id:sqlstring}
      AND (s.namespace, s.service, s.environment) = (SELECT k.namespace, k.service, k.environment FROM task k)
    ORDER BY s."startTime", s."spanID"
    LIMIT 1000
), root AS (
    SELECT
        k.workflow_id AS "traceID",
        'task' AS "spanID",
        NULL AS "parentSpanID",
        concat('task ', k.task_name) AS "operationName",
        k.service AS "serviceName",
        b.begun_at AS "startTime",
        b.ended_at - b.begun_at AS "duration",
        'internal' AS "kind",
        CASE WHEN
            -- include: failed_states as k
            THEN 2
            ELSE 0
        END AS "statusCode",
        CASE WHEN k.state <> 'succeeded' THEN k.state END AS "statusMessage",
        json_build_array(
            json_build_object('key', 'task_id', 'value', ${task_id:sqlstring}::text),
            json_build_object('key', 'state', 'value', k.state),
            json_build_object('key', 'attempts', 'value', k.attempts)
        )::text AS "tags",
        '[]' AS "serviceTags",
        '[]' AS "logs",
        '[]' AS "references"
    FROM task k
    CROSS JOIN (
        SELECT min(m."startTime") AS begun_at, max(m."startTime" + m."duration") AS ended_at
        FROM bars m
    ) AS b
    WHERE b.begun_at IS NOT NULL
)
SELECT t.*
FROM (
    SELECT r.*
    FROM root r
    UNION ALL
    SELECT
        s."traceID",
        s."spanID",
        CASE WHEN s."parentSpanID" IN (SELECT p."spanID" FROM bars p) THEN s."parentSpanID" ELSE 'task' END,
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
        -- What a body follows is not in this trace.
        '[]'
    FROM bars s
) AS t
ORDER BY t."parentSpanID" IS NOT NULL, t."startTime", t."kind" DESC, t."spanID"
