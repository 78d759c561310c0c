-- Creates the critical path of a workflow: the tasks that its duration was made of, one after the other.
-- Safe: a new view only.

SET LOCAL ROLE celerytrail_owner;

-- Walked back from the task that ended last: before a chord's body comes the header that ended last, before
-- every other task the one that sent it. So the steps follow each other without holes, and add up to the whole.
CREATE VIEW celerytrail_views.critical_path WITH (security_barrier = true) AS
SELECT
    w.namespace, w.service, w.environment, w.workflow_id, s.place, s.task_id, s.task_name, s.state, s.reason,
    s.entered_at, s.left_at, s.took_us - r.run_us AS wait_us, r.run_us,
    s.took_us::float8 / greatest(extract(epoch FROM w.ended_at - w.began_at) * 1000000, 1)::float8 AS share,
    s.queue, s.worker, s.attempts
FROM (
    SELECT
        coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id, t.namespace, t.service, t.environment,
        min(least(t.first_sent_at, t.received_at, t.started_at, t.finished_at)) AS began_at,
        CASE WHEN bool_or(t.finished_at IS NULL OR t.state = 'retried') THEN now() ELSE max(t.finished_at) END AS ended_at,
        -- Of those that are not done the one that was sent first.
        (array_agg(
            t.task_id
            ORDER BY
                t.finished_at IS NULL OR t.state = 'retried' DESC,
                CASE WHEN t.state <> 'retried' THEN t.finished_at END DESC,
                t.first_sent_at, t.task_id
        ))[1] AS last_id
    FROM celerytrail.tasks t
    WHERE t.task_name IS DISTINCT FROM 'celery.chord_unlock'
    GROUP BY coalesce(t.root_group_id, t.root_id, t.task_id), t.namespace, t.service, t.environment
) AS w
CROSS JOIN LATERAL (
    WITH RECURSIVE back (steps_after, task_id, left_at, reason_of_next, seen) AS (
        SELECT 0, w.last_id, w.ended_at, NULL::text, ARRAY[w.last_id]
        UNION ALL
        SELECT
            b.steps_after + 1, p.task_id,
            -- It handed over when the next was sent, or when it ended if somebody else sent that later.
            least(
                CASE WHEN c.first_sent_at >= p.first_sent_at THEN c.first_sent_at ELSE c.sent_at END,
                p.finished_at, b.left_at
            ),
            p.reason, b.seen || p.task_id
        FROM back b
        JOIN celerytrail.tasks c
            ON c.task_id = b.task_id
           AND (c.namespace, c.service, c.environment) = (w.namespace, w.service, w.environment)
        CROSS JOIN LATERAL (
            (
                SELECT h.task_id, h.first_sent_at, h.finished_at, 'all headers ended' AS reason
                FROM celerytrail.groups g
                JOIN celerytrail.tasks h
                    ON h.group_id = g.group_id
                   AND (h.namespace, h.service, h.environment) = (g.namespace, g.service, g.environment)
                WHERE g.chord_body_id = c.task_id
                  AND (g.namespace, g.service, g.environment) = (c.namespace, c.service, c.environment)
                  AND h.task_id <> c.task_id
                  AND h.finished_at <= coalesce(c.finished_at, 'infinity')
                ORDER BY h.finished_at DESC, h.task_id
                LIMIT 1
            )
            UNION ALL
            (
                SELECT sender.task_id, sender.first_sent_at, sender.finished_at, 'sent by the one before' AS reason
                FROM celerytrail.tasks sender
                WHERE sender.task_id = c.parent_id
                  AND (sender.namespace, sender.service, sender.environment) = (c.namespace, c.service, c.environment)
                  AND coalesce(sender.root_group_id, sender.root_id, sender.task_id) = w.workflow_id
                  AND sender.task_name IS DISTINCT FROM 'celery.chord_unlock'
            )
            LIMIT 1
        ) AS p
        -- A task that another took the place of comes after itself.
        WHERE p.task_id <> ALL (b.seen) AND b.steps_after < 999
    )
    SELECT
        row_number() OVER path AS place, b.task_id, t.task_name, t.state, t.queue, t.worker, t.attempts,
        coalesce(lag(b.reason_of_next) OVER path, 'first') AS reason,
        coalesce(lag(b.left_at) OVER path, w.began_at) AS entered_at,
        b.left_at,
        greatest(
            (extract(epoch FROM b.left_at - coalesce(lag(b.left_at) OVER path, w.began_at)) * 1000000)::int8, 0
        ) AS took_us
    FROM back b
    JOIN celerytrail.tasks t
        ON t.task_id = b.task_id
       AND (t.namespace, t.service, t.environment) = (w.namespace, w.service, w.environment)
    WINDOW path AS (ORDER BY b.steps_after DESC)
) AS s
-- Whatever else a step took was waiting: to be sent, for its time to come, in a queue, between attempts.
CROSS JOIN LATERAL (
    SELECT least(coalesce(sum(extract(epoch FROM upper(part) - lower(part)) * 1000000)::int8, 0), s.took_us) AS run_us
    FROM (
        SELECT range_agg(tstzrange(u.started_at, greatest(u.started_at, coalesce(u.finished_at, 'infinity')))) AS parts
        FROM celerytrail_views.runs u
        WHERE u.task_id = s.task_id
          AND (u.namespace, u.service, u.environment) = (w.namespace, w.service, w.environment)
          AND u.started_at IS NOT NULL
    ) AS all_runs
    CROSS JOIN LATERAL unnest(
        all_runs.parts * tstzmultirange(tstzrange(s.entered_at, greatest(s.entered_at, s.left_at)))
    ) AS part
) AS r;
COMMENT ON VIEW celerytrail_views.critical_path IS
    'The tasks that made up the duration of a workflow, one row a step. Ask for one workflow by its id: that reaches the index.';

GRANT SELECT ON celerytrail_views.critical_path TO celerytrail_grafana;
