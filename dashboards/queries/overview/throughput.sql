-- Tasks that came to their end in the time range, per minute of it. A retry is no end.
SELECT
    count(*) * 60.0::float8 / greatest(
        extract(epoch FROM least($__timeTo()::timestamptz, now()) - $__timeFrom()::timestamptz)::float8, 1
    ) AS "per minute"
FROM celerytrail_views.tasks t
WHERE $__timeFilter(t.finished_at)
  AND t.state <> 'retried'
  AND
  -- include: task_filter as t
