-- Creates a view of the runs that take far longer than runs of that task usually do.
-- Safe: a new view.

SET LOCAL ROLE celerytrail_owner;

-- Such a run may still end: it is a question to somebody, and no event.
CREATE VIEW celerytrail_views.stuck_runs WITH (security_barrier = true) AS
WITH open_runs AS (
    SELECT r.*
    FROM celerytrail.runs r
    WHERE r.finished_at IS NULL AND r.started_at IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM celerytrail.run_ends e
          WHERE e.send_id = r.send_id AND e.finished_at >= r.started_at
            AND (e.namespace, e.service, e.environment) = (r.namespace, r.service, r.environment)
      )
), usual AS (
    SELECT n.namespace, n.service, n.environment, n.task_name, h.usual_us
    FROM (SELECT DISTINCT o.namespace, o.service, o.environment, o.task_name FROM open_runs o) AS n
    CROSS JOIN celerytrail.conclusion c
    CROSS JOIN LATERAL (
        SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY t.runtime_us) AS usual_us, count(*) AS finished
        FROM (
            SELECT t.runtime_us
            FROM celerytrail.tasks t
            WHERE t.task_name = n.task_name
              AND (t.namespace, t.service, t.environment) = (n.namespace, n.service, n.environment)
              AND t.state = 'succeeded' AND t.runtime_us IS NOT NULL
            ORDER BY t.updated_at DESC
            LIMIT 1000
        ) AS t
    ) AS h
    WHERE h.finished >= c.stuck_history
)
SELECT
    o.namespace, o.service, o.environment, encode(o.run_id, 'hex') AS run_id, o.task_id, o.task_name,
    o.retries, o.queue, o.worker, o.host, o.pid, o.started_at, u.usual_us, s.stuck_since,
    -- Where this is true the run is concluded to be lost, or would be if others were heard.
    coalesce(w.seen_at < clock_timestamp() - c.silent_after, false) AS worker_is_silent,
    w.seen_at AS worker_seen_at
FROM open_runs o
JOIN usual u
    ON (u.namespace, u.service, u.environment, u.task_name) = (o.namespace, o.service, o.environment, o.task_name)
CROSS JOIN celerytrail.conclusion c
CROSS JOIN LATERAL (
    SELECT o.started_at
        + greatest(c.stuck_at_least, u.usual_us * c.stuck_factor * interval '1 microsecond')
) AS s (stuck_since)
LEFT JOIN celerytrail.workers w
    ON w.worker = o.worker
   AND (w.namespace, w.service, w.environment) = (o.namespace, o.service, o.environment)
WHERE s.stuck_since <= clock_timestamp();
COMMENT ON VIEW celerytrail_views.stuck_runs IS
    'Runs that have begun and take far longer than 99 of 100 of the last thousand of that name did. Nothing is said of a task with too little history.';

GRANT SELECT ON celerytrail_views.stuck_runs
    TO celerytrail_grafana, celerytrail_verifier, celerytrail_maintainer;
