-- Creates the views of workflows: one row a group, chord, chain or task, and its members.
-- Safe: new views, and two indexes on the read model, built while no more is stored than a migration may wait for.

SET LOCAL ROLE celerytrail_owner;

-- The id of a workflow: its outermost group, else the task it began with.
CREATE INDEX tasks_workflow ON celerytrail.tasks ((coalesce(root_group_id, root_id, task_id)));
CREATE INDEX groups_chord_body ON celerytrail.groups (chord_body_id) WHERE chord_body_id IS NOT NULL;

-- Whoever asks for one workflow names it: the id reaches the index through every view of this file,
-- because each hands it on, groups by it or partitions by it.
CREATE VIEW celerytrail.workflow_tasks AS
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
    coalesce(h.is_acknowledged, false) AS is_acknowledged
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
) AS h ON e.outcome = 'failed';
COMMENT ON VIEW celerytrail.workflow_tasks IS 'Each task with the workflow it belongs to, how it ended, and whether somebody saw to it.';

CREATE VIEW celerytrail_views.workflows WITH (security_barrier = true) AS
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
        WHEN w.members = 1 THEN 'task'
        -- A chain is a line: nobody in it has two successors.
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
-- The chords in it whose headers all ended well and whose body was never sent to anybody. A failed header
-- is another matter: Celery then marks the body as failed, and never sends it.
LEFT JOIN LATERAL (
    SELECT
        count(*) > 0 AS is_missing,
        -- Time for what is under way between the last header and the body.
        coalesce(bool_or(h.finished_at < now() - interval '60 seconds'), false) AS is_late,
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
      -- A body that is a chain has no id that anybody knows of beforehand.
      AND (o.chord_body_id IS NOT NULL OR NOT EXISTS (
          SELECT
          FROM celerytrail.tasks t
          WHERE coalesce(t.root_group_id, t.root_id, t.task_id) = w.workflow_id
            AND (t.namespace, t.service, t.environment) = (o.namespace, o.service, o.environment)
            AND t.group_id IS DISTINCT FROM o.group_id
      ))
      AND h.members >= greatest(o.size, 1) AND h.others = 0
) AS b ON true
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN w.failed = 0 AND b.is_late THEN 'body never ran'
        WHEN w.failed = 0 AND (w.unfinished > 0 OR b.is_missing) THEN 'running'
        WHEN w.failed = 0 THEN 'succeeded'
        WHEN k.kind = 'chord' AND body.state = 'succeeded' THEN 'partially failed'
        WHEN k.kind = 'group' AND w.failed < w.members THEN 'partially failed'
        WHEN k.kind = 'task' AND root.state = 'succeeded' THEN 'partially failed'
        ELSE 'failed'
    END
) AS s (state)
-- The first failure that is not the consequence of another; it stays the same when somebody retries it.
LEFT JOIN LATERAL (
    SELECT f.task_id, f.task_name, f.exception_class
    FROM celerytrail.workflow_tasks f
    WHERE f.workflow_id = w.workflow_id
      AND (f.namespace, f.service, f.environment) = (w.namespace, w.service, w.environment)
      AND f.outcome = 'failed'
    ORDER BY
        f.body_of IS NOT NULL,
        coalesce(f.exception_class, '') ~ '(^|\.)ChordError$',
        EXISTS (
            SELECT
            FROM celerytrail.tasks child
            WHERE child.parent_id = f.task_id
              AND (child.namespace, child.service, child.environment) = (f.namespace, f.service, f.environment)
              AND child.state NOT IN ('succeeded', 'ignored', 'retried')
              AND child.finished_at <= f.finished_at
        ),
        f.finished_at, f.task_id
    LIMIT 1
) AS c ON w.failed > 0;
COMMENT ON VIEW celerytrail_views.workflows IS
    'One row a workflow. Ask for one by workflow_id, or for several by workflow_id = ANY (ARRAY(SELECT ...)): that reaches the index.';

CREATE VIEW celerytrail_views.workflow_members WITH (security_barrier = true) AS
SELECT
    m.namespace, m.service, m.environment, m.workflow_id, m.task_id, m.task_name,
    CASE
        WHEN m.body_of IS NOT NULL THEN 'body'
        WHEN m.group_id IS NOT NULL THEN 'header'
        WHEN m.root_group_id IS NULL AND m.parent_id IS NOT NULL AND NOT EXISTS (
            SELECT
            FROM celerytrail.tasks sibling
            WHERE sibling.parent_id = m.parent_id AND sibling.task_id <> m.task_id
              AND (sibling.namespace, sibling.service, sibling.environment) = (m.namespace, m.service, m.environment)
        ) THEN 'link'
        WHEN m.task_id = m.workflow_id THEN 'link'
        ELSE 'child'
    END AS role,
    coalesce(m.body_of, m.group_id) AS group_id,
    (
        SELECT (s.attributes ->> 'celery.group_index')::int8
        FROM celerytrail.spans s
        WHERE s.task_id = m.task_id AND s.day = m.message_day
          AND (s.namespace, s.service, s.environment) = (m.namespace, m.service, m.environment)
          AND s.attributes ->> 'celery.group_index' ~ '^[0-9]{1,18}$'
        LIMIT 1
    ) AS index,
    m.state, m.outcome, m.outcome = 'failed' AS failed, m.queue, m.worker, m.retries, m.attempts,
    m.queue_wait_us, m.runtime_us, m.exception_class, m.first_sent_at, m.started_at, m.finished_at,
    m.updated_at, m.root_id, m.parent_id, encode(m.trace_id, 'hex') AS trace_id,
    (
        SELECT a.new_task_id
        FROM celerytrail.task_actions a
        WHERE a.task_id = m.task_id AND a.new_task_id IS NOT NULL AND a.result = 'sent'
          AND (a.namespace, a.service, a.environment) = (m.namespace, m.service, m.environment)
        ORDER BY a.action_time DESC, a.action_id DESC
        LIMIT 1
    ) AS retried_as,
    m.is_retried AS retried, m.is_acknowledged AS acknowledged
FROM celerytrail.workflow_tasks m;
COMMENT ON VIEW celerytrail_views.workflow_members IS 'One row a task of a workflow. retried: the retry did not fail in its turn.';

-- For who looks for chords without a body: workflows that have one are found without counting their members.
CREATE VIEW celerytrail_views.chords WITH (security_barrier = true) AS
SELECT
    g.namespace, g.service, g.environment, coalesce(g.root_group_id, g.group_id) AS workflow_id,
    g.group_id, g.chord_body_id, g.size, g.first_sent_at, g.updated_at,
    EXISTS (SELECT FROM celerytrail.tasks t WHERE t.task_id = g.chord_body_id) AS body_seen
FROM celerytrail.groups g
WHERE g.kind = 'chord' OR g.chord_body_id IS NOT NULL;
COMMENT ON VIEW celerytrail_views.chords IS 'One row a chord: its body, and whether anybody ever sent it.';

-- The verifier and the maintainer have no rights on what shows arguments or results, nor on what is beside it.
GRANT SELECT ON
    celerytrail_views.workflows, celerytrail_views.workflow_members, celerytrail_views.chords
TO celerytrail_grafana;
