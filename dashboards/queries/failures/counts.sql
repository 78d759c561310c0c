-- How much failed, and how much of it is new: of a kind that nobody saw before the time range.
WITH failed AS MATERIALIZED (
    SELECT f.fingerprint, f.task_id, f.workflow_id, f.is_retried
    FROM celerytrail_views.failures f
    WHERE $__timeFilter(f.event_time)
      AND ('' = ${fingerprint:sqlstring} OR f.fingerprint = ${fingerprint:sqlstring})
      AND
      -- include: task_filter as f
)
SELECT
    count(*) FILTER (WHERE NOT f.is_retried) AS "failed",
    count(*) FILTER (WHERE f.is_retried) AS "retried",
    count(DISTINCT f.fingerprint) AS "kinds",
    (
        SELECT count(*)
        FROM (SELECT DISTINCT k.fingerprint FROM failed k) AS k
        WHERE NOT EXISTS (
            SELECT
            FROM celerytrail_views.failures e
            WHERE e.fingerprint = k.fingerprint
              AND e.event_time < $__timeFrom()::timestamptz
              AND
              -- include: deployment_filter as e
        )
    ) AS "new kinds",
    count(DISTINCT f.task_id) AS "tasks",
    count(DISTINCT f.workflow_id) AS "workflows"
FROM failed f
