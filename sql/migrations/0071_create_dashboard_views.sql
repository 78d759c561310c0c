-- Creates what fills the menus of the dashboards: deployments, names of tasks, queues.
-- Safe: new views only. They read a bounded number of rows, however many tasks are stored.

SET LOCAL ROLE celerytrail_owner;

CREATE VIEW celerytrail_views.deployments WITH (security_barrier = true) AS
SELECT DISTINCT p.namespace, p.service, p.environment
FROM celerytrail.principals p;

-- From one name to the next by the index: as many steps as there are names.
CREATE VIEW celerytrail_views.task_names WITH (security_barrier = true) AS
WITH RECURSIVE names (task_name) AS (
    (
        SELECT t.task_name
        FROM celerytrail.tasks t
        WHERE t.task_name IS NOT NULL
        ORDER BY t.task_name
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT t.task_name
        FROM celerytrail.tasks t
        WHERE t.task_name > n.task_name
        ORDER BY t.task_name
        LIMIT 1
    )
    FROM names n
    WHERE n.task_name IS NOT NULL
)
SELECT n.task_name
FROM names n
WHERE n.task_name IS NOT NULL;

CREATE VIEW celerytrail_views.queue_names WITH (security_barrier = true) AS
SELECT newest.queue
FROM (
    SELECT t.queue
    FROM celerytrail.tasks t
    ORDER BY t.updated_at DESC
    LIMIT 20000
) AS newest
WHERE newest.queue IS NOT NULL
UNION
SELECT trim(q)
FROM celerytrail.workers w
CROSS JOIN LATERAL unnest(string_to_array(w.queues, ',')) AS q
WHERE trim(q) <> '';

GRANT SELECT ON
    celerytrail_views.deployments, celerytrail_views.task_names, celerytrail_views.queue_names
TO celerytrail_grafana, celerytrail_verifier, celerytrail_maintainer;
