-- The part of the tasks ended in the time range that ended badly. Tasks revoked or ignored count as neither.
SELECT
    count(*) FILTER (
        WHERE
        -- include: failed_states as t
    )::float8
    / nullif(count(*), 0) AS "failed"
FROM celerytrail_views.tasks t
WHERE $__timeFilter(t.finished_at)
  AND t.state NOT IN ('retried', 'revoked', 'purged', 'ignored')
  AND
  -- include: task_filter as t
