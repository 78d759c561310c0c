-- Queue wait and runtime over time, by the moment a task began.
SELECT
    date_bin(make_interval(secs => $__interval_ms / 1000.0), t.started_at, timestamptz 'epoch') AS "time",
    percentile_cont(0.5) WITHIN GROUP (ORDER BY t.queue_wait_us) / 1e6 AS "wait p50",
    percentile_cont(0.95) WITHIN GROUP (ORDER BY t.queue_wait_us) / 1e6 AS "wait p95",
    percentile_cont(0.95) WITHIN GROUP (ORDER BY t.runtime_us) / 1e6 AS "runtime p95"
FROM celerytrail_views.tasks t
WHERE t.updated_at >= $__timeFrom()
  AND $__timeFilter(t.started_at)
  AND
  -- include: task_filter as t
GROUP BY 1
ORDER BY 1
