-- How long messages waited for a worker, of tasks that began in the time range: 95 of 100 waited less.
SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY t.queue_wait_us) / 1e6 AS "p95"
FROM celerytrail_views.tasks t
WHERE t.updated_at >= $__timeFrom()
  AND $__timeFilter(t.started_at)
  AND t.queue_wait_us IS NOT NULL
  AND
  -- include: task_filter as t
