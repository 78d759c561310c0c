-- Follows a chain by what its links say of their place in it, so that what else a link sent is not taken for the next one.
-- Safe: a column of the read model without a default, and a view with the same columns as before.

SET LOCAL ROLE celerytrail_owner;

-- Of a link that is not the first: how many links of its chain there are from it on; kept by the greatest that was seen.
ALTER TABLE celerytrail.tasks ADD COLUMN chain_left int4;

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
-- The chains in it of which a link was never sent. From the first on each link says how many there are from it on, so
-- that the next one is told from what else it sent. A link that is a group or a chord says nothing: where the last known link
-- sent one, as many tasks have to follow each other from there on as there are links.
LEFT JOIN LATERAL (
    WITH RECURSIVE firsts AS MATERIALIZED (
        SELECT t.task_id, t.root_id, t.chain_length
        FROM celerytrail.tasks t
        WHERE w.chains > 0 AND w.failed = 0 AND w.unfinished = 0
          AND coalesce(t.root_group_id, t.root_id, t.task_id) = w.workflow_id
          AND (t.namespace, t.service, t.environment) = (w.namespace, w.service, w.environment)
          AND t.chain_length > 1
    ), astray AS MATERIALIZED (
        -- Another task took the place of such a link: its parent is not, or not only, the link before it.
        SELECT n.task_id, n.root_id, n.chain_left
        FROM (SELECT DISTINCT f.root_id FROM firsts f) AS r
        JOIN celerytrail.tasks n ON n.root_id = r.root_id
        WHERE n.chain_left IS NOT NULL
          AND NOT EXISTS (
              SELECT FROM celerytrail.tasks p
              WHERE p.task_id = n.parent_id AND p.task_id <> n.task_id
                AND coalesce(p.chain_left, p.chain_length) = n.chain_left + 1
          )
    ), links (first_id, root_id, task_id, from_it_on) AS (
        SELECT f.task_id, f.root_id, f.task_id, f.chain_length
        FROM firsts f
        UNION
        SELECT l.first_id, l.root_id, n.task_id, l.from_it_on - 1
        FROM links l
        -- Whichever deployment the worker is of that sent it, and inside of a group or not.
        JOIN LATERAL (
            SELECT c.task_id, c.chain_left FROM celerytrail.tasks c WHERE c.parent_id = l.task_id
            UNION ALL
            SELECT a.task_id, a.chain_left FROM astray a WHERE a.root_id = l.root_id
        ) AS n ON n.chain_left = l.from_it_on - 1
    ), last_known AS (
        SELECT DISTINCT ON (l.first_id) l.first_id, l.task_id, l.from_it_on
        FROM links l
        ORDER BY l.first_id, l.from_it_on, l.task_id
    ), following (first_id, length, task_id, place) AS (
        SELECT k.first_id, k.from_it_on, k.task_id, 1
        FROM last_known k
        WHERE k.from_it_on > 1
          AND EXISTS (
              SELECT FROM celerytrail.tasks c WHERE c.parent_id = k.task_id AND c.group_id IS NOT NULL
          )
        UNION ALL
        SELECT f.first_id, f.length, n.task_id, f.place + 1
        FROM following f
        JOIN celerytrail.tasks n ON n.parent_id = f.task_id
        WHERE f.place < f.length
    )
    SELECT count(*) > 0 AS is_short, w.finished_at < now() - interval '60 seconds' AS is_over
    FROM last_known k
    WHERE k.from_it_on > 1
      AND NOT EXISTS (SELECT FROM following f WHERE f.first_id = k.first_id AND f.place >= f.length)
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
