-- Lets views tell a chain that broke off and a chord that lacks headers from ones that are done, and names the culprit better.
-- Safe: a column of the read model without a default, two views with the same columns as before and one more, a new view.

SET LOCAL ROLE celerytrail_owner;

-- Of the first link of a chain how many links it has; kept by the greatest that was seen.
ALTER TABLE celerytrail.tasks ADD COLUMN chain_length int4;

CREATE OR REPLACE VIEW celerytrail.workflow_tasks AS
SELECT
    coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id,
    t.namespace, t.service, t.environment, t.task_id, t.task_name, t.state, t.queue, t.worker,
    t.retries, t.attempts, t.root_id, t.parent_id, t.group_id, t.root_group_id, t.message_day, t.send_id,
    t.first_sent_at, t.started_at, t.finished_at, t.updated_at, t.queue_wait_us, t.runtime_us,
    t.exception_class, t.trace_id, e.outcome,
    coalesce(
        (least(t.first_sent_at, t.received_at, t.started_at, t.finished_at) AT TIME ZONE 'UTC')::date - 1, '-infinity'
    ) AS first_day,
    coalesce(
        (greatest(t.updated_at, t.sent_at, t.received_at, t.started_at, t.finished_at) AT TIME ZONE 'UTC')::date + 1, 'infinity'
    ) AS last_day,
    -- The chord whose body it is.
    (
        SELECT c.group_id
        FROM celerytrail.groups c
        WHERE c.chord_body_id = t.task_id
          AND (c.namespace, c.service, c.environment) = (t.namespace, t.service, t.environment)
        LIMIT 1
    ) AS body_of,
    -- A failure is open until an operator retried it, and that did not fail in its turn, or until an
    -- operator ended the task: then somebody knows.
    coalesce(h.is_retried, false) AS is_retried,
    coalesce(h.is_acknowledged, false) AS is_acknowledged,
    t.chain_length
FROM celerytrail.tasks t
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN t.finished_at IS NULL OR t.state = 'retried' THEN 'unfinished'
        WHEN t.state IN ('succeeded', 'ignored') THEN 'succeeded'
        ELSE 'failed'
    END
) AS e (outcome)
LEFT JOIN LATERAL (
    WITH RECURSIVE retries (task_id, depth) AS (
        SELECT t.task_id, 0
        UNION ALL
        SELECT n.new_task_id, r.depth + 1
        FROM retries r
        CROSS JOIN LATERAL (
            SELECT a.new_task_id
            FROM celerytrail.task_actions a
            WHERE a.task_id = r.task_id
              AND (a.namespace, a.service, a.environment) = (t.namespace, t.service, t.environment)
              AND a.new_task_id IS NOT NULL AND a.result = 'sent'
            ORDER BY a.action_time DESC, a.action_id DESC
            LIMIT 1
        ) AS n
        WHERE r.depth < 50
    ), newest AS (
        SELECT r.task_id, r.depth FROM retries r ORDER BY r.depth DESC LIMIT 1
    )
    SELECT
        n.depth > 0 AND NOT EXISTS (
            SELECT
            FROM celerytrail.tasks again
            WHERE again.task_id = n.task_id
              AND (again.namespace, again.service, again.environment) = (t.namespace, t.service, t.environment)
              AND again.finished_at IS NOT NULL AND again.state NOT IN ('succeeded', 'ignored', 'retried', 'purged')
              -- An operator ended the retry.
              AND NOT (again.state IN ('revoked', 'aborted') AND EXISTS (
                  SELECT
                  FROM celerytrail.task_actions a
                  WHERE a.task_id = again.task_id
                    AND (a.namespace, a.service, a.environment) = (again.namespace, again.service, again.environment)
                    AND a.verb IN ('cancel', 'terminate') AND a.phase = 'outcome'
              ))
              -- A failure of its own workflow, or of this one, is told there.
              AND again.root_group_id IS NULL
              AND coalesce(again.root_id, again.task_id) <> coalesce(t.root_group_id, t.root_id, t.task_id)
        ) AS is_retried,
        t.state = 'purged' OR t.state IN ('revoked', 'aborted') AND EXISTS (
            SELECT
            FROM celerytrail.task_actions a
            WHERE a.task_id = t.task_id
              AND (a.namespace, a.service, a.environment) = (t.namespace, t.service, t.environment)
              AND a.verb IN ('cancel', 'terminate') AND a.phase = 'outcome'
        ) AS is_acknowledged
    FROM newest n
) AS h ON e.outcome = 'failed'
WHERE t.task_name IS DISTINCT FROM 'celery.chord_unlock';

CREATE OR REPLACE VIEW celerytrail_views.workflows WITH (security_barrier = true) AS
SELECT
    w.namespace, w.service, w.environment, w.workflow_id, k.kind, n.name, w.root_id,
    g.group_id, s.state, w.started_at,
    CASE WHEN s.state <> 'running' THEN w.finished_at END AS finished_at,
    w.updated_at, w.members, w.succeeded, w.failed, w.unfinished,
    c.task_id AS culprit_task_id, c.task_name AS culprit_task_name,
    c.exception_class AS culprit_exception_class,
    w.failed > 0 AND w.open_failures = 0 AND w.acknowledged > 0 AS acknowledged,
    CASE
        WHEN s.state = 'body never ran' THEN b.is_retried
        ELSE w.failed > 0 AND w.open_failures = 0 AND w.retried > 0
    END AS retried,
    s.state IN ('failed', 'partially failed') AND w.open_failures > 0
        OR s.state = 'body never ran' AND NOT b.is_retried AS needs_attention,
    w.headers, g.chord_body_id, encode(g.trace_id, 'hex') AS trace_id
FROM (
    SELECT
        m.workflow_id, m.namespace, m.service, m.environment,
        coalesce(min(m.root_id) FILTER (WHERE m.root_group_id IS NULL), min(m.root_id)) AS root_id,
        bool_or(m.root_group_id IS NOT NULL) AS is_group,
        min(coalesce(m.first_sent_at, m.started_at, m.finished_at)) AS started_at,
        max(m.finished_at) AS finished_at,
        max(m.updated_at) AS updated_at,
        count(*) AS members,
        count(*) FILTER (WHERE m.outcome = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE m.outcome = 'failed') AS failed,
        count(*) FILTER (WHERE m.outcome = 'unfinished') AS unfinished,
        count(*) FILTER (WHERE m.group_id = m.workflow_id AND m.body_of IS DISTINCT FROM m.workflow_id) AS headers,
        count(*) FILTER (WHERE m.outcome = 'failed' AND NOT m.is_retried AND NOT m.is_acknowledged) AS open_failures,
        count(*) FILTER (WHERE m.is_retried) AS retried,
        count(*) FILTER (WHERE m.is_acknowledged) AS acknowledged,
        count(*) FILTER (WHERE m.chain_length > 1) AS chains,
        min(m.task_name) FILTER (WHERE m.group_id IS NOT NULL AND m.body_of IS NULL) AS first_name,
        max(m.task_name) FILTER (WHERE m.group_id IS NOT NULL AND m.body_of IS NULL) AS last_name
    FROM celerytrail.workflow_tasks m
    GROUP BY m.workflow_id, m.namespace, m.service, m.environment
) AS w
LEFT JOIN celerytrail.groups g
    ON g.group_id = w.workflow_id
   AND (g.namespace, g.service, g.environment) = (w.namespace, w.service, w.environment)
LEFT JOIN celerytrail.tasks body
    ON body.task_id = g.chord_body_id
   AND (body.namespace, body.service, body.environment) = (w.namespace, w.service, w.environment)
LEFT JOIN celerytrail.tasks root
    ON root.task_id = w.workflow_id
   AND (root.namespace, root.service, root.environment) = (w.namespace, w.service, w.environment)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN w.is_group AND (g.kind = 'chord' OR g.chord_body_id IS NOT NULL) THEN 'chord'
        WHEN w.is_group THEN 'group'
        WHEN root.chain_length > 1 THEN 'chain'
        WHEN w.members = 1 THEN 'task'
        -- Where its first send is not known: a chain is a line, nobody in it has two successors.
        WHEN (
            SELECT count(l.parent_id) = count(DISTINCT l.parent_id)
            FROM celerytrail.tasks l
            WHERE coalesce(l.root_group_id, l.root_id, l.task_id) = w.workflow_id
              AND (l.namespace, l.service, l.environment) = (w.namespace, w.service, w.environment)
        ) THEN 'chain'
        ELSE 'task'
    END
) AS k (kind)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN w.is_group THEN
            coalesce(w.first_name, '?') || CASE WHEN w.first_name <> w.last_name THEN ', ...' ELSE '' END
            || coalesce(' -> ' || body.task_name, '')
        ELSE coalesce(root.task_name, '?')
    END
) AS n (name)
-- The chords in it whose body was never sent to anybody. A failed header is another matter: Celery then
-- marks the body as failed, and never sends it.
LEFT JOIN LATERAL (
    SELECT
        count(*) > 0 AS is_missing,
        -- Time for what is under way between the last header and the body; and where not all headers are
        -- known, or their number is not, for those that are still being sent.
        coalesce(bool_or(
            h.others = 0 AND (
                h.members >= greatest(o.size, 1) AND h.finished_at < now() - interval '60 seconds'
                OR w.unfinished = 0 AND w.updated_at < now() - interval '10 minutes'
            )
        ), false) AS is_late,
        coalesce(bool_and(h.is_retried), false) AS is_retried
    FROM celerytrail.groups o
    CROSS JOIN LATERAL (
        SELECT
            count(*) AS members,
            count(*) FILTER (WHERE t.finished_at IS NULL OR t.state NOT IN ('succeeded', 'ignored')) AS others,
            max(t.finished_at) AS finished_at,
            bool_or(EXISTS (
                SELECT
                FROM celerytrail.task_actions a
                WHERE a.task_id = t.task_id
                  AND (a.namespace, a.service, a.environment) = (t.namespace, t.service, t.environment)
                  AND a.verb = 'retry-chord' AND a.new_task_id IS NOT NULL AND a.result = 'sent'
            )) AS is_retried
        FROM celerytrail.tasks t
        WHERE t.group_id = o.group_id
          AND (t.namespace, t.service, t.environment) = (o.namespace, o.service, o.environment)
          AND t.task_id IS DISTINCT FROM o.chord_body_id
    ) AS h
    WHERE w.is_group AND w.failed = 0
      AND (o.group_id = w.workflow_id OR o.root_group_id = w.workflow_id)
      AND (o.namespace, o.service, o.environment) = (w.namespace, w.service, w.environment)
      AND (o.kind = 'chord' OR o.chord_body_id IS NOT NULL)
      -- Whichever deployment the worker is of that sent it.
      AND NOT EXISTS (SELECT FROM celerytrail.tasks t WHERE t.task_id = o.chord_body_id)
      -- Where nobody knows the id of the body, whatever is beside the headers may be it.
      AND (o.chord_body_id IS NOT NULL OR NOT EXISTS (
          SELECT
          FROM celerytrail.tasks t
          WHERE coalesce(t.root_group_id, t.root_id, t.task_id) = w.workflow_id
            AND (t.namespace, t.service, t.environment) = (o.namespace, o.service, o.environment)
            AND t.group_id IS DISTINCT FROM o.group_id
      ))
) AS b ON true
-- The chains in it of which a link was never sent: fewer tasks than links follow each other from the first
-- on. A link may be a chord, or send tasks besides the next, so more of them say nothing.
LEFT JOIN LATERAL (
    WITH RECURSIVE links (first_id, length, task_id, place) AS (
        SELECT t.task_id, t.chain_length, t.task_id, 1
        FROM celerytrail.tasks t
        WHERE w.chains > 0 AND w.failed = 0 AND w.unfinished = 0
          AND coalesce(t.root_group_id, t.root_id, t.task_id) = w.workflow_id
          AND (t.namespace, t.service, t.environment) = (w.namespace, w.service, w.environment)
          AND t.chain_length > 1
        UNION ALL
        -- Whichever deployment the worker is of that sent it, and inside of a group or not.
        SELECT l.first_id, l.length, n.task_id, l.place + 1
        FROM links l
        JOIN celerytrail.tasks n ON n.parent_id = l.task_id
        WHERE l.place < l.length
    )
    SELECT count(*) > 0 AS is_short, w.finished_at < now() - interval '60 seconds' AS is_over
    FROM (
        SELECT FROM links l GROUP BY l.first_id, l.length HAVING max(l.place) < l.length
    ) AS short
) AS l ON true
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN w.failed = 0 AND b.is_late THEN 'body never ran'
        WHEN w.failed = 0 AND (w.unfinished > 0 OR b.is_missing) THEN 'running'
        WHEN w.failed = 0 AND l.is_short THEN CASE WHEN l.is_over THEN 'broken off' ELSE 'running' END
        WHEN w.failed = 0 THEN 'succeeded'
        WHEN k.kind = 'chord' AND body.state = 'succeeded' THEN 'partially failed'
        WHEN k.kind = 'group' AND w.failed < w.members THEN 'partially failed'
        WHEN k.kind = 'task' AND root.state = 'succeeded' THEN 'partially failed'
        ELSE 'failed'
    END
) AS s (state)
-- The first failure that is not the consequence of another: it stays the same when somebody retries it. What
-- an operator ended is it only where nothing else failed. One task waits for another that it sent, and a
-- chord's body for its headers.
LEFT JOIN LATERAL (
    SELECT f.task_id, f.task_name, f.exception_class
    FROM celerytrail.workflow_tasks f
    WHERE f.workflow_id = w.workflow_id
      AND (f.namespace, f.service, f.environment) = (w.namespace, w.service, w.environment)
      AND f.outcome = 'failed'
    ORDER BY
        coalesce(f.exception_class, '') ~ '(^|\.)ChordError$'
        OR EXISTS (
            SELECT
            FROM celerytrail.tasks child
            WHERE child.parent_id = f.task_id
              AND (child.namespace, child.service, child.environment) = (f.namespace, f.service, f.environment)
              AND child.state NOT IN ('succeeded', 'ignored', 'retried')
              AND child.finished_at <= f.finished_at
        )
        OR f.body_of IS NOT NULL AND EXISTS (
            SELECT
            FROM celerytrail.tasks header
            WHERE header.group_id = f.body_of AND header.task_id <> f.task_id
              AND (header.namespace, header.service, header.environment) = (f.namespace, f.service, f.environment)
              AND header.state NOT IN ('succeeded', 'ignored', 'retried')
              AND header.finished_at <= f.finished_at
        ),
        f.is_acknowledged, f.finished_at, f.task_id
    LIMIT 1
) AS c ON w.failed > 0;

-- For who looks for chains that failed at their first link: no other task tells of them.
CREATE VIEW celerytrail_views.chains WITH (security_barrier = true) AS
SELECT t.namespace, t.service, t.environment, t.task_id, t.chain_length
FROM celerytrail.tasks t
WHERE t.chain_length > 1;
COMMENT ON VIEW celerytrail_views.chains IS 'The first link of each chain, and how many links that has.';

GRANT SELECT ON celerytrail_views.chains TO celerytrail_grafana;
