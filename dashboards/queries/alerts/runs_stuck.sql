-- One row a task of a deployment whose runs take far longer than usual, of those that have for less than stuck_for. The number is how many runs.
WITH limits AS (
    SELECT interval '7 days' AS stuck_for
)
SELECT
    r.task_name AS task,
    r.namespace,
    r.service,
    r.environment,
    count(*)::float8 AS stuck
FROM celerytrail_views.stuck_runs r
CROSS JOIN limits l
WHERE r.stuck_since > now() - l.stuck_for
GROUP BY r.task_name, r.namespace, r.service, r.environment
ORDER BY count(*) DESC, r.task_name
LIMIT 200
