-- Plans what a workflow is once a session, and of it only what that workflow needs: planning took ten times as long as asking.
-- Safe: a column of the read model without a default, one view with the same columns as before, and one new function.

SET LOCAL ROLE celerytrail_owner;

-- Of a link that is not the first: how many links of its chain there are from it on; kept by the greatest that was seen. A chain is
-- followed by it, so that what else a link sent is not taken for the next one.
ALTER TABLE celerytrail.tasks ADD COLUMN chain_left int4;

-- A function, because each panel of a workflow asks, and whatever stands in a view is planned each time, also
-- what only a failed one or a chord without a body needs.
CREATE FUNCTION celerytrail.workflow_state(of_workflow text, of_namespace text, of_service text, of_environment text)
RETURNS TABLE (
    kind text, name text, root_id text, group_id text, state text, started_at timestamptz, finished_at timestamptz,
    updated_at timestamptz, members int8, succeeded int8, failed int8, unfinished int8, culprit_task_id text,
    culprit_task_name text, culprit_exception_class text, acknowledged bool, retried bool, needs_attention bool,
    headers int8, chord_body_id text, trace_id text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1 COST 1000
SET search_path = pg_catalog, pg_temp
-- No workflow needs another plan than the next one.
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    w record;
    group_kind text;
    -- The column of that name is one of groups too.
    known_body text;
    body_name text;
    body_state text;
    root_name text;
    root_state text;
    root_length int4;
    without_body text[];
    body_is_missing bool := false;
    body_is_late bool := false;
    body_is_retried bool := false;
    chain_is_short bool := false;
BEGIN
    SELECT
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
    INTO w
    FROM celerytrail.workflow_tasks m
    WHERE m.workflow_id = of_workflow
      AND (m.namespace, m.service, m.environment) = (of_namespace, of_service, of_environment);
    IF w.members = 0 THEN
        RETURN;
    END IF;
    -- Where no task is in a group, the workflow is a task, and no group has its id.
    IF w.is_group THEN
        SELECT o.group_id, o.kind, o.chord_body_id, encode(o.trace_id, 'hex')
        INTO group_id, group_kind, known_body, trace_id
        FROM celerytrail.groups o
        WHERE o.group_id = of_workflow
          AND (o.namespace, o.service, o.environment) = (of_namespace, of_service, of_environment);
        IF known_body IS NOT NULL THEN
            SELECT t.task_name, t.state INTO body_name, body_state
            FROM celerytrail.tasks t
            WHERE t.task_id = known_body
              AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment);
        END IF;
    ELSE
        SELECT t.task_name, t.state, t.chain_length INTO root_name, root_state, root_length
        FROM celerytrail.tasks t
        WHERE t.task_id = of_workflow
          AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment);
    END IF;

    IF w.is_group THEN
        kind := CASE WHEN group_kind = 'chord' OR known_body IS NOT NULL THEN 'chord' ELSE 'group' END;
        name := coalesce(w.first_name, '?') || CASE WHEN w.first_name <> w.last_name THEN ', ...' ELSE '' END
            || coalesce(' -> ' || body_name, '');
    ELSE
        name := coalesce(root_name, '?');
        kind := CASE
            WHEN root_length > 1 THEN 'chain'
            WHEN w.members = 1 THEN 'task'
            -- Where its first send is not known: a chain is a line, nobody in it has two successors.
            WHEN (
                SELECT count(l.parent_id) = count(DISTINCT l.parent_id)
                FROM celerytrail.tasks l
                WHERE coalesce(l.root_group_id, l.root_id, l.task_id) = of_workflow
                  AND (l.namespace, l.service, l.environment) = (of_namespace, of_service, of_environment)
            ) THEN 'chain'
            ELSE 'task'
        END;
    END IF;

    -- The chords in it whose body was never sent to anybody. A failed header is another matter: Celery then
    -- marks the body as failed, and never sends it.
    IF w.is_group AND w.failed = 0 THEN
        without_body := ARRAY(
            SELECT o.group_id
            FROM celerytrail.groups o
            WHERE (o.group_id = of_workflow OR o.root_group_id = of_workflow)
              AND (o.namespace, o.service, o.environment) = (of_namespace, of_service, of_environment)
              AND (o.kind = 'chord' OR o.chord_body_id IS NOT NULL)
              -- Whichever deployment the worker is of that sent it.
              AND NOT EXISTS (SELECT FROM celerytrail.tasks t WHERE t.task_id = o.chord_body_id)
              -- Where nobody knows the id of the body, whatever is beside the headers may be it.
              AND (o.chord_body_id IS NOT NULL OR NOT EXISTS (
                  SELECT
                  FROM celerytrail.tasks t
                  WHERE coalesce(t.root_group_id, t.root_id, t.task_id) = of_workflow
                    AND (t.namespace, t.service, t.environment) = (o.namespace, o.service, o.environment)
                    AND t.group_id IS DISTINCT FROM o.group_id
              ))
        );
        IF cardinality(without_body) > 0 THEN
            SELECT
                true,
                -- Time for what is under way between the last header and the body; and where not all headers are
                -- known, or their number is not, for those that are still being sent.
                coalesce(bool_or(
                    h.others = 0 AND (
                        h.members >= greatest(o.size, 1) AND h.finished_at < now() - interval '60 seconds'
                        OR w.unfinished = 0 AND w.updated_at < now() - interval '10 minutes'
                    )
                ), false),
                coalesce(bool_and(h.is_retried), false)
            INTO body_is_missing, body_is_late, body_is_retried
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
            WHERE o.group_id = ANY (without_body)
              AND (o.namespace, o.service, o.environment) = (of_namespace, of_service, of_environment);
        END IF;
    END IF;

    -- The chains in it of which a link was never sent. From the first on each link says how many there are from it on,
    -- so that the next one is told from what else it sent. A link that is a group or a chord says nothing: where the
    -- last known link sent one, as many tasks have to follow each other from there on as there are links.
    IF w.chains > 0 AND w.failed = 0 AND w.unfinished = 0 THEN
        WITH RECURSIVE firsts AS MATERIALIZED (
            SELECT t.task_id, t.root_id, t.chain_length
            FROM celerytrail.tasks t
            WHERE coalesce(t.root_group_id, t.root_id, t.task_id) = of_workflow
              AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
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
        SELECT count(*) > 0 INTO chain_is_short
        FROM last_known k
        WHERE k.from_it_on > 1
          AND NOT EXISTS (SELECT FROM following f WHERE f.first_id = k.first_id AND f.place >= f.length);
    END IF;

    state := CASE
        WHEN w.failed = 0 AND body_is_late THEN 'body never ran'
        WHEN w.failed = 0 AND (w.unfinished > 0 OR body_is_missing) THEN 'running'
        WHEN w.failed = 0 AND chain_is_short THEN
            CASE WHEN w.finished_at < now() - interval '60 seconds' THEN 'broken off' ELSE 'running' END
        WHEN w.failed = 0 THEN 'succeeded'
        WHEN kind = 'chord' AND body_state = 'succeeded' THEN 'partially failed'
        WHEN kind = 'group' AND w.failed < w.members THEN 'partially failed'
        WHEN kind = 'task' AND root_state = 'succeeded' THEN 'partially failed'
        ELSE 'failed'
    END;

    -- The first failure that is not the consequence of another: it stays the same when somebody retries it. What
    -- an operator ended is it only where nothing else failed. One task waits for another that it sent, and a
    -- chord's body for its headers.
    IF w.failed > 0 THEN
        SELECT f.task_id, f.task_name, f.exception_class
        INTO culprit_task_id, culprit_task_name, culprit_exception_class
        FROM celerytrail.workflow_tasks f
        WHERE f.workflow_id = of_workflow
          AND (f.namespace, f.service, f.environment) = (of_namespace, of_service, of_environment)
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
        LIMIT 1;
    END IF;

    root_id := w.root_id;
    started_at := w.started_at;
    finished_at := CASE WHEN state <> 'running' THEN w.finished_at END;
    updated_at := w.updated_at;
    members := w.members;
    succeeded := w.succeeded;
    failed := w.failed;
    unfinished := w.unfinished;
    acknowledged := w.failed > 0 AND w.open_failures = 0 AND w.acknowledged > 0;
    retried := CASE
        WHEN state = 'body never ran' THEN body_is_retried
        ELSE w.failed > 0 AND w.open_failures = 0 AND w.retried > 0
    END;
    needs_attention := state IN ('failed', 'partially failed') AND w.open_failures > 0
        OR state = 'body never ran' AND NOT body_is_retried;
    headers := w.headers;
    chord_body_id := known_body;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION celerytrail.workflow_state(text, text, text, text) IS
    'What a workflow of one deployment is: one row, none where it has no task.';
-- A view calls as whoever reads it. Grafana's role may name nothing in this schema, so it reaches it through views alone.
GRANT EXECUTE ON FUNCTION celerytrail.workflow_state(text, text, text, text) TO celerytrail_grafana;

CREATE OR REPLACE VIEW celerytrail_views.workflows WITH (security_barrier = true) AS
SELECT
    w.namespace, w.service, w.environment, w.workflow_id, s.kind, s.name, s.root_id, s.group_id, s.state, s.started_at,
    s.finished_at, s.updated_at, s.members, s.succeeded, s.failed, s.unfinished, s.culprit_task_id, s.culprit_task_name,
    s.culprit_exception_class, s.acknowledged, s.retried, s.needs_attention, s.headers, s.chord_body_id, s.trace_id
FROM (
    SELECT coalesce(t.root_group_id, t.root_id, t.task_id) AS workflow_id, t.namespace, t.service, t.environment
    FROM celerytrail.tasks t
    GROUP BY coalesce(t.root_group_id, t.root_id, t.task_id), t.namespace, t.service, t.environment
) AS w
CROSS JOIN LATERAL celerytrail.workflow_state(w.workflow_id, w.namespace, w.service, w.environment) AS s;
