-- Tasks that fail most, with the newest exception of each.
WITH failures AS MATERIALIZED (
    SELECT
        t.task_name,
        count(*) AS failed,
        (array_agg(coalesce(t.exception_class, t.state) ORDER BY t.finished_at DESC))[1] AS newest,
        max(t.finished_at) AS last_failed
    FROM celerytrail_views.tasks t
    WHERE $__timeFilter(t.finished_at)
      AND
      -- include: failed_states as t
      AND
      -- include: task_filter as t
    GROUP BY t.task_name
    ORDER BY failed DESC, t.task_name
    LIMIT 20
), ended AS MATERIALIZED (
    SELECT t.task_name, count(*) AS ended
    FROM celerytrail_views.tasks t
    WHERE $__timeFilter(t.finished_at)
      AND t.state NOT IN ('retried', 'revoked', 'purged', 'ignored')
      AND
      -- include: task_filter as t
    GROUP BY t.task_name
)
SELECT f.task_name, f.failed, f.failed::float8 / e.ended AS ratio, f.newest, f.last_failed
FROM failures f
JOIN ended e ON e.task_name IS NOT DISTINCT FROM f.task_name
ORDER BY f.failed DESC, f.task_name
