-- Each run as two bars: the wait of its message in the queue, and the execution. A task without a run waits still, or ended so.
WITH runs AS MATERIALIZED (
    SELECT
        concat(
            'attempt ', r.retries + 1,
            CASE
                WHEN row_number() OVER (PARTITION BY r.retries ORDER BY r.started_at, r.run_id) > 1
                THEN ', run ' || row_number() OVER (PARTITION BY r.retries ORDER BY r.started_at, r.run_id)
            END
        ) AS run,
        coalesce(r.started_at, r.finished_at - make_interval(secs => coalesce(r.runtime_us, 0) / 1e6)) AS begun_at,
        r.finished_at,
        r.queue_wait_us,
        r.state
    FROM celerytrail_views.runs r
    WHERE r.task_id = ${task_id:sqlstring}
      AND
      -- include: deployment_filter as r
    ORDER BY r.started_at, r.run_id
    LIMIT 200
)
SELECT
    r.begun_at - make_interval(secs => r.queue_wait_us / 1e6) AS "time",
    r.begun_at AS timeend,
    r.run,
    'waiting' AS state
FROM runs r
WHERE r.queue_wait_us > 0
UNION ALL
SELECT r.begun_at, coalesce(r.finished_at, now()), r.run, r.state
FROM runs r
WHERE r.begun_at IS NOT NULL
UNION ALL
SELECT
    coalesce(t.sent_at, t.received_at, t.updated_at),
    greatest(coalesce(t.finished_at, now()), coalesce(t.sent_at, t.received_at, t.updated_at)),
    concat('attempt ', t.attempts),
    CASE WHEN t.finished_at IS NULL THEN 'waiting' ELSE t.state END
FROM celerytrail_views.tasks t
WHERE t.task_id = ${task_id:sqlstring}
  AND NOT EXISTS (SELECT FROM runs)
  AND
  -- include: deployment_filter as t
ORDER BY 1, 2
