-- The newest tasks; with a search text those of the newest thousand that hold it, and the task of that id, however old.
WITH candidates AS MATERIALIZED (
    (
        SELECT t.namespace, t.service, t.environment, t.task_id, t.updated_at
        FROM celerytrail_views.tasks t
        WHERE $__timeFilter(t.updated_at)
          AND
          -- include: task_filter as t
          AND
          -- include: state_filter as t
        ORDER BY t.updated_at DESC
        LIMIT CASE WHEN ${search:sqlstring} = '' THEN 200 ELSE 1000 END
    )
    UNION
    SELECT t.namespace, t.service, t.environment, t.task_id, t.updated_at
    FROM celerytrail_views.tasks t
    WHERE t.task_id = ${search:sqlstring}
), found AS MATERIALIZED (
    SELECT c.*
    FROM candidates c
    WHERE ${search:sqlstring} = ''
       OR c.task_id = ${search:sqlstring}
       OR (
           SELECT strpos(
               lower(concat_ws(E'\n', v.task_name, v.exception_class, v.args, v.kwargs, v.exception)),
               lower(${search:sqlstring})
           ) > 0
           FROM celerytrail_views.tasks v
           WHERE v.task_id = c.task_id
             AND v.namespace = c.namespace AND v.service = c.service AND v.environment = c.environment
       )
    ORDER BY c.updated_at DESC
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
