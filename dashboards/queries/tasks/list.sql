-- The newest tasks; with a search text those with it in an argument or exception of the time range or the day before, those of
-- the newest thousand with it in their name too, and the task of that id, however old.
WITH chosen AS MATERIALIZED (
    SELECT
        t.updated_at, t.task_name, t.task_id, t.state, t.queue, t.worker, t.attempts, t.queue_wait_us, t.runtime_us,
        t.exception_class, t.root_id, t.root_group_id, t.namespace, t.service, t.environment
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
      -- An excerpt is JSON, in which a quote and a backslash are written with another one.
      AND (
          strpos(s.excerpt, lower(${search:sqlstring})) > 0
          OR strpos(s.excerpt, replace(replace(lower(${search:sqlstring}), '\', '\\'), '"', '\"')) > 0
      )
      AND
      -- include: deployment_filter as s
    ORDER BY s.event_time DESC
    LIMIT 2000
), found AS (
    SELECT c.*
    FROM chosen c
    WHERE ${search:sqlstring} = ''
       OR strpos(lower(concat_ws(E'\n', c.task_name, c.exception_class)), lower(${search:sqlstring})) > 0
       -- An aggregate and not EXISTS, which may be answered by reading every excerpt once.
       OR (
           SELECT
               max(greatest(
                   strpos(s.excerpt, lower(${search:sqlstring})),
                   strpos(s.excerpt, replace(replace(lower(${search:sqlstring}), '\', '\\'), '"', '\"'))
               )) > 0
           FROM celerytrail_views.searchable s
           WHERE s.task_id = c.task_id
             AND s.namespace = c.namespace AND s.service = c.service AND s.environment = c.environment
       )
    UNION
    SELECT t.*
    FROM holding h
    CROSS JOIN LATERAL (
        SELECT
            v.updated_at, v.task_name, v.task_id, v.state, v.queue, v.worker, v.attempts, v.queue_wait_us, v.runtime_us,
            v.exception_class, v.root_id, v.root_group_id, v.namespace, v.service, v.environment
        FROM celerytrail_views.tasks v
        WHERE v.task_id = h.task_id
          AND v.namespace = h.namespace AND v.service = h.service AND v.environment = h.environment
        -- Keeps this from being merged into a join, which would read every task.
        OFFSET 0
    ) AS t
    WHERE $__timeFilter(t.updated_at)
      AND
      -- include: task_filter as t
      AND
      -- include: state_filter as t
    UNION
    SELECT
        t.updated_at, t.task_name, t.task_id, t.state, t.queue, t.worker, t.attempts, t.queue_wait_us, t.runtime_us,
        t.exception_class, t.root_id, t.root_group_id, t.namespace, t.service, t.environment
    FROM celerytrail_views.tasks t
    WHERE t.task_id = ${search:sqlstring}
)
SELECT
    f.updated_at,
    f.task_name,
    f.task_id,
    f.state,
    f.queue,
    f.worker,
    f.attempts,
    f.queue_wait_us / 1e6::float8 AS queue_wait,
    f.runtime_us / 1e6::float8 AS runtime,
    f.exception_class,
    coalesce(f.root_group_id, f.root_id, f.task_id) AS workflow_id,
    f.namespace,
    f.service,
    f.environment,
    '' AS actions
FROM found f
ORDER BY f.updated_at DESC, f.task_id
LIMIT 200
