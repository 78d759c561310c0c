-- Works out many failed workflows in one statement, and each workflow with half of the lookups: lists asked for hundreds one by one.
-- Safe: two views more, one view and one function replaced with the same columns; no table is touched.

SET LOCAL ROLE celerytrail_owner;

-- What is known of a task without asking who saw to it.
CREATE VIEW celerytrail.tasks_of_workflows AS
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
    t.chain_length
FROM celerytrail.tasks t
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN t.finished_at IS NULL OR t.state = 'retried' THEN 'unfinished'
        WHEN t.state IN ('succeeded', 'ignored') THEN 'succeeded'
        ELSE 'failed'
    END
) AS e (outcome)
WHERE t.task_name IS DISTINCT FROM 'celery.chord_unlock';
COMMENT ON VIEW celerytrail.tasks_of_workflows IS 'Each task with the workflow it belongs to, and how it ended.';

CREATE OR REPLACE VIEW celerytrail.workflow_tasks AS
SELECT
    t.workflow_id, t.namespace, t.service, t.environment, t.task_id, t.task_name, t.state, t.queue, t.worker,
    t.retries, t.attempts, t.root_id, t.parent_id, t.group_id, t.root_group_id, t.message_day, t.send_id,
    t.first_sent_at, t.started_at, t.finished_at, t.updated_at, t.queue_wait_us, t.runtime_us,
    t.exception_class, t.trace_id, t.outcome, t.first_day, t.last_day, t.body_of,
    -- A failure is open until an operator retried it, and that did not fail in its turn, or until an
    -- operator ended the task: then somebody knows.
    coalesce(h.is_retried, false) AS is_retried,
    coalesce(h.is_acknowledged, false) AS is_acknowledged,
    t.chain_length
FROM celerytrail.tasks_of_workflows t
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
              AND coalesce(again.root_id, again.task_id) <> t.workflow_id
        ) AS is_retried,
        t.state = 'purged' OR t.state IN ('revoked', 'aborted') AND EXISTS (
            SELECT
            FROM celerytrail.task_actions a
            WHERE a.task_id = t.task_id
              AND (a.namespace, a.service, a.environment) = (t.namespace, t.service, t.environment)
              AND a.verb IN ('cancel', 'terminate') AND a.phase = 'outcome'
        ) AS is_acknowledged
    FROM newest n
    -- Here, so that nothing of this is done for any other task.
    WHERE t.outcome = 'failed'
) AS h ON true;

CREATE OR REPLACE FUNCTION celerytrail.workflow_state(of_workflow text, of_namespace text, of_service text, of_environment text)
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
    first record;
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
        count(*) FILTER (WHERE m.chain_length > 1) AS chains,
        min(m.task_name) FILTER (WHERE m.group_id IS NOT NULL AND m.body_of IS NULL) AS first_name,
        max(m.task_name) FILTER (WHERE m.group_id IS NOT NULL AND m.body_of IS NULL) AS last_name
    INTO w
    FROM (
        SELECT
            t.workflow_id, t.root_id, t.group_id, t.root_group_id, t.task_name, t.first_sent_at, t.started_at,
            t.finished_at, t.updated_at, t.outcome, t.chain_length,
            CASE WHEN t.group_id IS NOT NULL THEN t.body_of END AS body_of
        FROM celerytrail.tasks_of_workflows t
        WHERE t.workflow_id = of_workflow
          AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
        -- Whose body a task is, is looked up once a task and not each time that it is named above.
        OFFSET 0
    ) AS m;
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
        SELECT
            f.task_id, f.task_name, f.exception_class,
            count(*) FILTER (WHERE NOT f.is_retried AND NOT f.is_acknowledged) OVER () AS open_failures,
            count(*) FILTER (WHERE f.is_retried) OVER () AS retried,
            count(*) FILTER (WHERE f.is_acknowledged) OVER () AS acknowledged
        INTO first
        FROM (
            SELECT t.*
            FROM celerytrail.workflow_tasks t
            WHERE t.workflow_id = of_workflow
              AND (t.namespace, t.service, t.environment) = (of_namespace, of_service, of_environment)
              AND t.outcome = 'failed'
            -- Worked out once a failure, although it is counted three ways.
            OFFSET 0
        ) AS f
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
        culprit_task_id := first.task_id;
        culprit_task_name := first.task_name;
        culprit_exception_class := first.exception_class;
    END IF;

    root_id := w.root_id;
    started_at := w.started_at;
    finished_at := CASE WHEN state <> 'running' THEN w.finished_at END;
    updated_at := w.updated_at;
    members := w.members;
    succeeded := w.succeeded;
    failed := w.failed;
    unfinished := w.unfinished;
    IF w.failed > 0 THEN
        acknowledged := first.open_failures = 0 AND first.acknowledged > 0;
        retried := first.open_failures = 0 AND first.retried > 0;
        needs_attention := state IN ('failed', 'partially failed') AND first.open_failures > 0;
    ELSE
        acknowledged := false;
        retried := state = 'body never ran' AND body_is_retried;
        needs_attention := state = 'body never ran' AND NOT body_is_retried;
    END IF;
    headers := w.headers;
    chord_body_id := known_body;
    RETURN NEXT;
END
$$;

-- A barrier, so that whose body a task is, and whether somebody saw to it, is worked out once for each task and not each time that it
-- is named below; a condition on the id of the workflow goes through it.
CREATE VIEW celerytrail.judged_tasks WITH (security_barrier = true) AS
SELECT
    t.workflow_id, t.namespace, t.service, t.environment, t.task_id, t.task_name, t.exception_class, t.root_id, t.group_id,
    t.root_group_id, t.first_sent_at, t.started_at, t.finished_at, t.updated_at, t.outcome, t.is_retried, t.is_acknowledged,
    CASE WHEN t.group_id IS NOT NULL OR t.outcome = 'failed' THEN t.body_of END AS body_of
FROM celerytrail.workflow_tasks t;
COMMENT ON VIEW celerytrail.judged_tasks IS
    'Each task with the workflow it belongs to, as celerytrail_views.failed_workflows counts it.';

CREATE VIEW celerytrail_views.failed_workflows WITH (security_barrier = true) AS
SELECT
    w.namespace, w.service, w.environment, w.workflow_id,
    CASE WHEN w.is_group THEN CASE WHEN k.is_chord THEN 'chord' ELSE 'group' END WHEN k.is_chain THEN 'chain' ELSE 'task' END AS kind,
    CASE
        WHEN w.is_group THEN
            coalesce(w.first_name, '?') || CASE WHEN w.first_name <> w.last_name THEN ', ...' ELSE '' END
            || coalesce(' -> ' || body.task_name, '')
        ELSE coalesce(root.task_name, '?')
    END AS name,
    w.root_id, o.group_id,
    CASE
        WHEN w.is_group AND k.is_chord AND body.state = 'succeeded' THEN 'partially failed'
        WHEN w.is_group AND NOT k.is_chord AND w.failed < w.members THEN 'partially failed'
        -- Asked in this order: what is a chain is asked of the tasks again.
        WHEN NOT w.is_group AND root.state = 'succeeded' AND NOT k.is_chain THEN 'partially failed'
        ELSE 'failed'
    END AS state,
    w.started_at, w.finished_at, w.updated_at, w.members, w.succeeded, w.failed, w.unfinished,
    w.culprit[1][1] AS culprit_task_id, w.culprit[1][2] AS culprit_task_name, w.culprit[1][3] AS culprit_exception_class,
    w.open_failures = 0 AND w.acknowledged > 0 AS acknowledged,
    w.open_failures = 0 AND w.retried > 0 AS retried,
    w.open_failures > 0 AS needs_attention,
    w.headers, o.chord_body_id, encode(o.trace_id, 'hex') AS trace_id
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
        max(m.task_name) FILTER (WHERE m.group_id IS NOT NULL AND m.body_of IS NULL) AS last_name,
        (array_agg(
            ARRAY[m.task_id, m.task_name, m.exception_class]
            ORDER BY
                coalesce(m.exception_class, '') ~ '(^|\.)ChordError$'
                OR EXISTS (
                    SELECT
                    FROM celerytrail.tasks child
                    WHERE child.parent_id = m.task_id
                      AND (child.namespace, child.service, child.environment) = (m.namespace, m.service, m.environment)
                      AND child.state NOT IN ('succeeded', 'ignored', 'retried')
                      AND child.finished_at <= m.finished_at
                )
                OR m.body_of IS NOT NULL AND EXISTS (
                    SELECT
                    FROM celerytrail.tasks header
                    WHERE header.group_id = m.body_of AND header.task_id <> m.task_id
                      AND (header.namespace, header.service, header.environment) = (m.namespace, m.service, m.environment)
                      AND header.state NOT IN ('succeeded', 'ignored', 'retried')
                      AND header.finished_at <= m.finished_at
                ),
                m.is_acknowledged, m.finished_at, m.task_id
        ) FILTER (WHERE m.outcome = 'failed'))[1:1] AS culprit
    FROM celerytrail.judged_tasks m
    GROUP BY m.workflow_id, m.namespace, m.service, m.environment
) AS w
LEFT JOIN celerytrail.groups o
    ON w.is_group AND o.group_id = w.workflow_id
   AND (o.namespace, o.service, o.environment) = (w.namespace, w.service, w.environment)
LEFT JOIN celerytrail.tasks body
    ON body.task_id = o.chord_body_id
   AND (body.namespace, body.service, body.environment) = (w.namespace, w.service, w.environment)
LEFT JOIN celerytrail.tasks root
    ON NOT w.is_group AND root.task_id = w.workflow_id
   AND (root.namespace, root.service, root.environment) = (w.namespace, w.service, w.environment)
CROSS JOIN LATERAL (
    SELECT
        coalesce(o.kind = 'chord', false) OR o.chord_body_id IS NOT NULL,
        CASE
            WHEN root.chain_length > 1 THEN true
            WHEN w.members = 1 THEN false
            -- Where its first send is not known: a chain is a line, nobody in it has two successors.
            ELSE (
                SELECT count(l.parent_id) = count(DISTINCT l.parent_id)
                FROM celerytrail.tasks l
                WHERE coalesce(l.root_group_id, l.root_id, l.task_id) = w.workflow_id
                  AND (l.namespace, l.service, l.environment) = (w.namespace, w.service, w.environment)
            )
        END
) AS k (is_chord, is_chain)
WHERE w.failed > 0;
COMMENT ON VIEW celerytrail_views.failed_workflows IS
    'Those of celerytrail_views.workflows in which a task failed, with the same columns, worked out together: for lists of many. Ask by workflow_id = ANY (ARRAY(SELECT ...)); without it all tasks are read.';
GRANT SELECT ON celerytrail_views.failed_workflows TO celerytrail_grafana;

COMMENT ON VIEW celerytrail_views.workflows IS
    'One row a workflow. Name the workflow_id, or several as workflow_id = ANY (ARRAY(SELECT coalesce(root_group_id, root_id, task_id) FROM celerytrail_views.tasks WHERE updated_at > now() - interval ''1 hour'' ORDER BY updated_at DESC LIMIT 500)): that reaches the index. A condition on any other column, a LIMIT, a join or IN (SELECT ...) works out every workflow of the ledger first. For many that failed ask failed_workflows.';
