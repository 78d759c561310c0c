-- The bars of the workflow under one root, at most 2,000: what starts later is left out, and nothing hangs in the air.
WITH bars AS MATERIALIZED (
    SELECT s.*
    FROM celerytrail_views.workflow_spans s
    WHERE s.workflow_id = ${workflow_id:sqlstring}
      AND
      -- include: deployment_filter as s
    ORDER BY s."parentSpanID" IS NOT NULL, s."startTime", s."kind" DESC, s."spanID"
    LIMIT 2000
), root AS (
    -- A workflow that two deployments know of has a root in each: a trace may have one only.
    SELECT b."spanID", b.namespace, b.service, b.environment
    FROM bars b
    WHERE b."parentSpanID" IS NULL
    ORDER BY b."startTime", b."spanID"
    LIMIT 1
)
SELECT
    b."traceID",
    b."spanID",
    CASE
        WHEN b."spanID" = r."spanID" THEN NULL
        WHEN b."parentSpanID" IN (SELECT p."spanID" FROM bars p) THEN b."parentSpanID"
        ELSE r."spanID"
    END AS "parentSpanID",
    b."operationName",
    b."serviceName",
    b."startTime",
    b."duration",
    b."kind",
    b."statusCode",
    b."statusMessage",
    b."tags",
    b."serviceTags",
    b."logs",
    b."references"
FROM bars b
JOIN root r
    ON r.namespace = b.namespace AND r.service = b.service AND r.environment = b.environment
ORDER BY b."parentSpanID" IS NOT NULL, b."startTime", b."kind" DESC, b."spanID"
