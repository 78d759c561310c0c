-- Runtimes by task, the slowest first.
SELECT
    t.task_name,
    count(*) AS runs,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY t.runtime_us) / 1e6 AS p50,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY t.runtime_us) / 1e6 AS p95,
    max(t.runtime_us) / 1e6::float8 AS longest
FROM celerytrail_views.tasks t
WHERE $__timeFilter(t.finished_at)
  AND t.runtime_us IS NOT NULL
  AND
  -- include: task_filter as t
GROUP BY t.task_name
ORDER BY p95 DESC, t.task_name
LIMIT 20
