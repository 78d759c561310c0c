-- The bars of the workflow under one root, at most 2,000: what starts later is left out, and nothing hangs in the air.
WITH bars AS MATERIALIZED (
    SELECT s.*
    FROM celerytrail_views.workflow_spans s
    WHERE s.workflow_id = ${workflow_id:sqlstring}
      AND
      -- include: deployment_filter as s
    -- The root first. By a first key that tells bars apart: what is equal by it is looked at again, key by key.
    ORDER BY CASE WHEN s."parentSpanID" IS NULL THEN '-infinity' ELSE s."startTime" END, s."kind" DESC, s."spanID"
    LIMIT 2000
), root AS MATERIALIZED (
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
        WHEN b."spanID" = (SELECT r."spanID" FROM root r) THEN NULL
        WHEN b."parentSpanID" IN (SELECT p."spanID" FROM bars p) THEN b."parentSpanID"
        ELSE (SELECT r."spanID" FROM root r)
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
WHERE (b.namespace, b.service, b.environment) = (SELECT r.namespace, r.service, r.environment FROM root r)
ORDER BY CASE WHEN b."parentSpanID" IS NULL THEN '-infinity' ELSE b."startTime" END, b."kind" DESC, b."spanID"
