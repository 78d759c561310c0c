-- Failures per minute, of the ten most frequent kinds by their class and fingerprint, and of all others.
WITH failed AS MATERIALIZED (
    SELECT
        date_bin(make_interval(secs => $__interval_ms / 1000.0), f.event_time, timestamptz 'epoch') AS "time",
        f.fingerprint,
        f.exception_class,
        count(*) AS events
    FROM celerytrail_views.failures f
    WHERE $__timeFilter(f.event_time)
      AND NOT f.is_retried
      AND ('' = ${fingerprint:sqlstring} OR f.fingerprint = ${fingerprint:sqlstring})
      AND
      -- include: task_filter as f
    GROUP BY 1, 2, 3
), most AS (
    SELECT f.fingerprint
    FROM failed f
    GROUP BY f.fingerprint
    ORDER BY sum(f.events) DESC, f.fingerprint
    LIMIT 10
)
SELECT
    f."time",
    CASE WHEN m.fingerprint IS NULL THEN 'others' ELSE f.exception_class || ' ' || left(f.fingerprint, 6) END AS metric,
    sum(f.events) * 60000.0::float8 / $__interval_ms AS value
FROM failed f
LEFT JOIN most m ON m.fingerprint = f.fingerprint
GROUP BY 1, 2
ORDER BY 1, 2
