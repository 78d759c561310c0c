-- Creates the waterfall of a workflow: every send, wait and run under one root.
-- Safe: new views only.

SET LOCAL ROLE celerytrail_owner;

-- The groups of each workflow, with the id of the bar that stands for them: their span's, or one made of
-- their id where no publisher minted a span.
CREATE VIEW celerytrail.workflow_groups AS
SELECT
    g.root_group_id AS workflow_id, g.namespace, g.service, g.environment, g.group_id,
    coalesce(g.kind, 'group') AS kind, g.chord_body_id, g.span_id, g.parent_span_id, g.first_sent_at, g.updated_at,
    coalesce(
        encode(g.span_id, 'hex'),
        left(encode(sha256(convert_to('celerytrail/bar/v1 ' || g.group_id, 'UTF8')), 'hex'), 16)
    ) AS bar_id
FROM celerytrail.groups g
WHERE g.root_group_id IS NOT NULL;

-- The steps of the tasks of a workflow, each with what those beside it say: whether its send is known, and
-- whether the end of its run is.
CREATE VIEW celerytrail.workflow_steps AS
SELECT
    t.workflow_id, t.namespace, t.service, t.environment, t.task_id, t.task_name, t.group_id,
    t.body_of, t.outcome, t.updated_at, t.send_id = s.send_id AS is_newest_send,
    s.step, s.span_id, s.parent_span_id, s.send_id, s.run_id, s.span_name, s.span_kind,
    s.status_code, s.start_unix_nano, s.end_unix_nano, s.retries, s.queue, s.worker, s.host, s.pid,
    s.exception_class, s.trace_id,
    s.step IN ('sent', 'send_failed') AS is_send,
    bool_or(s.step IN ('sent', 'send_failed') AND s.span_id = s.send_id) OVER same_send AS has_send,
    bool_or(s.span_id = s.run_id) OVER same_run AS has_run,
    -- A run whose end nobody reported ended no later than its send did.
    max(s.end_unix_nano) FILTER (WHERE p.ends AND p.rank >= 40) OVER same_send AS ended_unix_nano,
    row_number() OVER (
        PARTITION BY t.workflow_id, t.namespace, t.service, t.environment, s.span_id
        ORDER BY p.rank DESC, s.event_id
    ) AS place,
    row_number() OVER (
        PARTITION BY t.workflow_id, t.namespace, t.service, t.environment, s.run_id, s.step
        ORDER BY s.event_id
    ) AS place_in_run,
    json_agg(json_build_object(
        'timestamp', s.end_unix_nano / 1000000.0,
        'name', s.step,
        'fields', json_build_array(
            json_build_object('key', 'event', 'value', s.step),
            json_build_object('key', 'worker', 'value', s.worker)
        )
    )) FILTER (WHERE s.step = 'received') OVER same_send AS points
FROM celerytrail.workflow_tasks t
JOIN celerytrail.spans s
    ON s.task_id = t.task_id
   AND (s.namespace, s.service, s.environment) = (t.namespace, t.service, t.environment)
   -- The partitions of its days, and those of the events whose clock was beyond all days.
   AND (s.day BETWEEN t.first_day AND t.last_day OR s.day IN ('-infinity', 'infinity'))
JOIN celerytrail.steps p ON p.step = s.step
WINDOW
    same_send AS (PARTITION BY t.workflow_id, t.namespace, t.service, t.environment, t.task_id, s.send_id),
    same_run AS (PARTITION BY t.workflow_id, t.namespace, t.service, t.environment, s.run_id);

-- Every bar of the waterfall. A parent outside of the workflow, such as the request of a web server, or a task
-- before the group, is replaced by the root: a trace has one.
CREATE VIEW celerytrail.workflow_bars AS
SELECT
    w.workflow_id, w.namespace, w.service, w.environment, NULL::text AS task_id, r.bar_id,
    NULL::text AS parent_bar_id, w.kind || ' ' || w.name AS name, w.service AS place, 'internal' AS kind,
    extract(epoch FROM least(w.started_at, g.first_sent_at)) * 1000 AS start_ms,
    extract(epoch FROM CASE WHEN w.unfinished > 0 THEN now() ELSE greatest(w.updated_at, w.finished_at) END) * 1000 AS end_ms,
    CASE WHEN w.state IN ('failed', 'partially failed', 'body never ran') THEN 2 ELSE 0 END AS status_code,
    CASE WHEN w.state <> 'succeeded' THEN w.state END AS status_message,
    json_build_object(
        'workflow', w.workflow_id, 'kind', w.kind, 'state', w.state, 'members', w.members,
        'succeeded', w.succeeded, 'failed', w.failed, 'unfinished', w.unfinished
    ) AS tags,
    json_build_object('service.namespace', w.namespace, 'deployment.environment.name', w.environment) AS service_tags,
    NULL::json AS points, NULL::json AS follows
FROM celerytrail_views.workflows w
LEFT JOIN celerytrail.workflow_groups g
    ON g.workflow_id = w.workflow_id AND g.group_id = w.workflow_id
   AND (g.namespace, g.service, g.environment) = (w.namespace, w.service, w.environment)
CROSS JOIN LATERAL (SELECT coalesce(
    g.bar_id,
    left(encode(sha256(convert_to('celerytrail/bar/v1 ' || w.workflow_id, 'UTF8')), 'hex'), 16)
)) AS r (bar_id)
UNION ALL
SELECT
    i.workflow_id, i.namespace, i.service, i.environment, NULL, i.bar_id,
    coalesce(
        (
            SELECT o.bar_id
            FROM celerytrail.workflow_groups o
            WHERE o.workflow_id = i.workflow_id AND o.group_id <> i.group_id
              AND (o.namespace, o.service, o.environment) = (i.namespace, i.service, i.environment)
              AND o.span_id = i.parent_span_id
            LIMIT 1
        ),
        (
            SELECT encode(r.run_id, 'hex')
            FROM celerytrail.runs r
            JOIN celerytrail.tasks t
                ON t.task_id = r.task_id
               AND (t.namespace, t.service, t.environment) = (r.namespace, r.service, r.environment)
            WHERE r.run_id = i.parent_span_id
              AND (r.started_at AT TIME ZONE 'UTC')::date >= (SELECT h.retained_from FROM celerytrail.horizon h)
              AND (r.namespace, r.service, r.environment) = (i.namespace, i.service, i.environment)
              AND coalesce(t.root_group_id, t.root_id, t.task_id) = i.workflow_id
            LIMIT 1
        ),
        o.bar_id,
        left(encode(sha256(convert_to('celerytrail/bar/v1 ' || i.workflow_id, 'UTF8')), 'hex'), 16)
    ),
    i.kind || coalesce(' ' || m.name, ''), i.service, 'internal',
    extract(epoch FROM least(i.first_sent_at, m.started_at)) * 1000,
    extract(epoch FROM CASE WHEN m.unfinished > 0 THEN now() ELSE greatest(m.finished_at, i.first_sent_at) END) * 1000,
    CASE WHEN m.failed > 0 THEN 2 ELSE 0 END, NULL,
    json_build_object('group', i.group_id, 'kind', i.kind, 'members', m.members, 'failed', m.failed, 'unfinished', m.unfinished),
    json_build_object('service.namespace', i.namespace, 'deployment.environment.name', i.environment),
    NULL, NULL
FROM celerytrail.workflow_groups i
LEFT JOIN celerytrail.workflow_groups o
    ON o.workflow_id = i.workflow_id AND o.group_id = i.workflow_id
   AND (o.namespace, o.service, o.environment) = (i.namespace, i.service, i.environment)
CROSS JOIN LATERAL (
    SELECT
        count(*) AS members, min(t.task_name) AS name,
        min(coalesce(t.first_sent_at, t.started_at)) AS started_at, max(t.finished_at) AS finished_at,
        count(*) FILTER (WHERE t.finished_at IS NULL OR t.state = 'retried') AS unfinished,
        count(*) FILTER (
            WHERE t.finished_at IS NOT NULL AND t.state NOT IN ('succeeded', 'ignored', 'retried')
        ) AS failed
    FROM celerytrail.tasks t
    WHERE t.group_id = i.group_id
      AND (t.namespace, t.service, t.environment) = (i.namespace, i.service, i.environment)
) AS m
WHERE i.group_id <> i.workflow_id
  -- The root is one of a task: a group is there a moment before its first.
  AND EXISTS (
      SELECT
      FROM celerytrail.tasks t
      WHERE coalesce(t.root_group_id, t.root_id, t.task_id) = i.workflow_id
        AND (t.namespace, t.service, t.environment) = (i.namespace, i.service, i.environment)
  )
UNION ALL
SELECT
    s.workflow_id, s.namespace, s.service, s.environment, s.task_id, b.bar_id,
    CASE
        WHEN NOT s.is_send AND s.has_send THEN encode(s.send_id, 'hex')
        WHEN c.group_id IS NOT NULL THEN c.bar_id
        ELSE coalesce(
            (
                SELECT encode(r.run_id, 'hex')
                FROM celerytrail.runs r
                JOIN celerytrail.tasks t
                    ON t.task_id = r.task_id
                   AND (t.namespace, t.service, t.environment) = (r.namespace, r.service, r.environment)
                WHERE s.is_send AND r.run_id = s.parent_span_id
                  -- What retention has dropped is no bar.
                  AND (r.started_at AT TIME ZONE 'UTC')::date >= (SELECT h.retained_from FROM celerytrail.horizon h)
                  AND (r.namespace, r.service, r.environment) = (s.namespace, s.service, s.environment)
                  AND coalesce(t.root_group_id, t.root_id, t.task_id) = s.workflow_id
                LIMIT 1
            ),
            o.bar_id,
            left(encode(sha256(convert_to('celerytrail/bar/v1 ' || s.workflow_id, 'UTF8')), 'hex'), 16)
        )
    END,
    CASE
        WHEN s.is_send THEN
            s.span_name || coalesce(': ' || s.task_name, '')
            || CASE WHEN s.retries > 0 THEN ', attempt ' || (s.retries + 1) ELSE '' END
        WHEN b.part = 2 THEN 'run ' || coalesce(s.task_name, '')
        ELSE s.span_name
    END,
    -- Grafana gives each its own colour: who sent it, the queue it waited in, the worker that ran it.
    CASE
        WHEN s.is_send THEN s.service
        WHEN b.part = 1 AND s.step = 'started' THEN coalesce('queue ' || s.queue, s.service)
        ELSE coalesce(s.worker, s.service)
    END,
    CASE
        WHEN b.part = 2 OR s.span_kind = 5 THEN 'consumer'
        WHEN s.span_kind = 4 THEN 'producer'
        WHEN s.span_kind = 3 THEN 'client'
        WHEN s.span_kind = 2 THEN 'server'
        ELSE 'internal'
    END,
    CASE WHEN b.part = 2 THEN s.end_unix_nano ELSE s.start_unix_nano END / 1000000.0,
    CASE
        WHEN b.part = 1 THEN s.end_unix_nano / 1000000.0
        WHEN s.ended_unix_nano IS NOT NULL THEN greatest(s.ended_unix_nano, s.end_unix_nano) / 1000000.0
        WHEN s.is_newest_send AND s.outcome = 'unfinished' THEN extract(epoch FROM now()) * 1000
        ELSE greatest(extract(epoch FROM s.updated_at) * 1000, s.end_unix_nano / 1000000.0)
    END,
    CASE WHEN b.part = 2 THEN 0 ELSE s.status_code END,
    s.exception_class,
    json_build_object(
        'task_id', s.task_id, 'task', s.task_name, 'step', s.step, 'attempt', s.retries + 1, 'queue', s.queue,
        'worker', s.worker, 'error.type', s.exception_class, 'trace_id', encode(s.trace_id, 'hex')
    ),
    json_build_object(
        'service.namespace', s.namespace, 'deployment.environment.name', s.environment,
        'service.instance.id', s.worker, 'host.name', s.host, 'process.pid', s.pid
    ),
    CASE WHEN s.is_send THEN s.points END,
    -- A body follows its headers: the newest run of each.
    CASE WHEN b.part = 1 AND s.body_of IS NOT NULL AND (s.is_send OR s.step = 'started' AND NOT s.has_send) THEN (
        SELECT json_agg(json_build_object('traceID', s.workflow_id, 'spanID', encode(last.run_id, 'hex')))
        FROM celerytrail.tasks h
        CROSS JOIN LATERAL (
            SELECT r.run_id
            FROM celerytrail.runs r
            WHERE r.task_id = h.task_id
              AND (r.namespace, r.service, r.environment) = (h.namespace, h.service, h.environment)
            ORDER BY r.started_at DESC NULLS LAST
            LIMIT 1
        ) AS last
        WHERE h.group_id = s.body_of AND h.task_id <> s.task_id
          AND (h.namespace, h.service, h.environment) = (s.namespace, s.service, s.environment)
    ) END
FROM celerytrail.workflow_steps s
-- A step is a bar; a start is the end of a wait, and of a run that is not over the beginning.
CROSS JOIN LATERAL (
    SELECT 1, encode(s.span_id, 'hex')
    WHERE s.place = 1 AND (s.step <> 'received' OR NOT s.has_send)
    UNION ALL
    SELECT 2, encode(s.run_id, 'hex')
    WHERE s.step = 'started' AND s.run_id IS NOT NULL AND NOT s.has_run AND s.place_in_run = 1
) AS b (part, bar_id)
LEFT JOIN celerytrail.workflow_groups c
    ON c.workflow_id = s.workflow_id AND c.group_id = coalesce(s.body_of, s.group_id)
   AND (c.namespace, c.service, c.environment) = (s.namespace, s.service, s.environment)
LEFT JOIN celerytrail.workflow_groups o
    ON o.workflow_id = s.workflow_id AND o.group_id = s.workflow_id
   AND (o.namespace, o.service, o.environment) = (s.namespace, s.service, s.environment);

CREATE VIEW celerytrail_views.workflow_spans WITH (security_barrier = true) AS
SELECT
    b.namespace, b.service, b.environment, b.workflow_id, b.task_id,
    b.workflow_id AS "traceID", b.bar_id AS "spanID", b.parent_bar_id AS "parentSpanID",
    b.name AS "operationName", b.place AS "serviceName",
    b.start_ms::float8 AS "startTime", greatest(b.end_ms - b.start_ms, 0)::float8 AS "duration",
    b.kind AS "kind", b.status_code::int4 AS "statusCode", b.status_message AS "statusMessage",
    coalesce((
        SELECT json_agg(json_build_object('key', t.key, 'value', t.value))
        FROM json_each(b.tags) AS t WHERE json_typeof(t.value) <> 'null'
    ), '[]')::text AS "tags",
    coalesce((
        SELECT json_agg(json_build_object('key', t.key, 'value', t.value))
        FROM json_each(b.service_tags) AS t WHERE json_typeof(t.value) <> 'null'
    ), '[]')::text AS "serviceTags",
    coalesce(b.points, '[]')::text AS "logs",
    coalesce(b.follows, '[]')::text AS "references"
FROM celerytrail.workflow_bars b;
COMMENT ON VIEW celerytrail_views.workflow_spans IS
    'The waterfall of a workflow, in the columns of Grafana''s Traces panel: one root, times in milliseconds, JSON as text.';

GRANT SELECT ON celerytrail_views.workflow_spans TO celerytrail_grafana;
