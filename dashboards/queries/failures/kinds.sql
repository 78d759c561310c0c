-- One row a kind of failure in the time range: the same exception class by the same way through the code. The most frequent first.
WITH kinds AS MATERIALIZED (
    SELECT
        f.fingerprint,
        max(f.exception_class) AS exception_class,
        CASE WHEN count(DISTINCT f.task_name) > 1 THEN min(f.task_name) || ', ...' ELSE min(f.task_name) END AS task_name,
        count(*) FILTER (WHERE NOT f.is_retried) AS failed,
        count(*) FILTER (WHERE f.is_retried) AS retried,
        count(DISTINCT f.task_id) AS tasks,
        count(DISTINCT f.workflow_id) AS workflows,
        max(f.event_time) AS last_seen,
        (array_agg(f.task_id ORDER BY f.event_time DESC, f.task_id))[1] AS task_id
    FROM celerytrail_views.failures f
    WHERE $__timeFilter(f.event_time)
      AND ('' = ${fingerprint:sqlstring} OR f.fingerprint = ${fingerprint:sqlstring})
      AND
      -- include: task_filter as f
    GROUP BY f.fingerprint
    ORDER BY count(*) FILTER (WHERE NOT f.is_retried) DESC, count(*) DESC, f.fingerprint
    LIMIT 200
)
SELECT
    k.exception_class,
    k.task_name,
    k.failed,
    k.retried,
    k.tasks,
    k.workflows,
    e.first_seen,
    CASE WHEN e.first_seen >= $__timeFrom()::timestamptz THEN 'new' ELSE 'known' END AS novelty,
    k.last_seen,
    k.task_id,
    k.fingerprint
FROM kinds k
CROSS JOIN LATERAL (
    SELECT min(v.event_time) AS first_seen
    FROM celerytrail_views.failures v
    WHERE v.fingerprint = k.fingerprint
      AND
      -- include: deployment_filter as v
) AS e
ORDER BY k.failed DESC, k.retried DESC, k.fingerprint
