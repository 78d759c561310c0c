-- The newest tasks; with a search text those with it in an argument or exception of the time range or the day before, those of
-- the newest thousand with it in their name too, and the task of that id, however old.
WITH chosen AS MATERIALIZED (
    SELECT t.namespace, t.service, t.environment, t.task_id, t.updated_at, t.task_name, t.exception_class
    FROM celerytrail_views.tasks t
    WHERE $__timeFilter(t.updated_at)
      AND
      -- include: task_filter as t
      AND
      -- include: state_filter as t
    ORDER BY t.updated_at DESC
    LIMIT CASE WHEN ${search:sqlstring} = '' THEN 200 ELSE 1000 END
), holding AS MATERIALIZED (
    -- An argument is written down when a task is sent, which may be long before it ends.
    SELECT s.namespace, s.service, s.environment, s.task_id
    FROM celerytrail_views.searchable s
    WHERE ${search:sqlstring} <> ''
      AND s.event_time >= $__timeFrom()::timestamptz - interval '1 day'
      AND s.event_time <= $__timeTo()
      AND strpos(s.excerpt, lower(${search:sqlstring})) > 0
      AND
      -- include: deployment_filter as s
    ORDER BY s.event_time DESC
    LIMIT 2000
), found AS MATERIALIZED (
    (
        SELECT c.namespace, c.service, c.environment, c.task_id, c.updated_at
        FROM chosen c
        WHERE ${search:sqlstring} = ''
           OR strpos(lower(concat_ws(E'\n', c.task_name, c.exception_class)), lower(${search:sqlstring})) > 0
           -- An aggregate and not EXISTS, which may be answered by reading every excerpt once.
           OR (
               SELECT max(strpos(s.excerpt, lower(${search:sqlstring}))) > 0
               FROM celerytrail_views.searchable s
               WHERE s.task_id = c.task_id
                 AND s.namespace = c.namespace AND s.service = c.service AND s.environment = c.environment
           )
    )
    UNION
    SELECT t.namespace, t.service, t.environment, t.task_id, t.updated_at
    FROM holding h
    CROSS JOIN LATERAL (
        SELECT v.*
        FROM (
            SELECT
                w.namespace, w.service, w.environment, w.task_id, w.updated_at, w.state, w.queue, w.task_name, w.worker
            FROM celerytrail_views.tasks w
            WHERE w.task_id = h.task_id
              AND w.namespace = h.namespace AND w.service = h.service AND w.environment = h.environment
            OFFSET 0
        ) AS v
    ) AS t
    WHERE $__timeFilter(t.updated_at)
      AND
      -- include: task_filter as t
      AND
      -- include: state_filter as t
    UNION
    SELECT t.namespace, t.service, t.environment, t.task_id, t.updated_at
    FROM celerytrail_views.tasks t
    WHERE t.task_id = ${search:sqlstring}
    ORDER BY updated_at DESC
    LIMIT 200
)
SELECT
    t.updated_at,
    t.task_name,
    t.task_id,
    t.state,
    t.queue,
    t.worker,
    t.attempts,
    t.queue_wait_us / 1e6::float8 AS queue_wait,
    t.runtime_us / 1e6::float8 AS runtime,
    t.exception_class,
    coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
    t.namespace,
    t.service,
    t.environment,
    '' AS actions
FROM found f
CROSS JOIN LATERAL (
    SELECT
        v.updated_at, v.task_name, v.task_id, v.state, v.queue, v.worker, v.attempts, v.queue_wait_us,
        v.runtime_us, v.exception_class, v.root_id, v.root_group_id, v.namespace, v.service, v.environment
    FROM celerytrail_views.tasks v
    WHERE v.task_id = f.task_id
      AND v.namespace = f.namespace AND v.service = f.service AND v.environment = f.environment
    -- Keeps this from being merged into a join, which would read every task.
    OFFSET 0
) AS t
ORDER BY t.updated_at DESC, t.task_id
