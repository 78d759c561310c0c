-- Tasks by the state they are in now, at the time of their last event, per minute.
SELECT
    date_bin(make_interval(secs => $__interval_ms / 1000.0), t.updated_at, timestamptz 'epoch') AS "time",
    t.state AS metric,
    count(*) * 60000.0::float8 / $__interval_ms AS value
FROM celerytrail_views.tasks t
WHERE $__timeFilter(t.updated_at)
  AND
  -- include: task_filter as t
  AND
  -- include: state_filter as t
GROUP BY 1, 2
ORDER BY 1, 2
