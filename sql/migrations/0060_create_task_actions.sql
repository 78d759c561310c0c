-- Creates the projection of actions onto tasks: who did what to which, and the tasks whose message was purged.
-- Safe: a trigger on actions, which are few, and new functions; all that they write can be rebuilt.

SET LOCAL ROLE celerytrail_owner;

-- One row a task; the last mention wins, and what became of a task wins over its being a target.
CREATE FUNCTION celerytrail.named_tasks(phase text, target json, detail json)
RETURNS TABLE (task_id text, result text, new_task_id text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    aim jsonb;
    said jsonb;
BEGIN
    -- An action is stored whatever its json says: json holds texts that no other type can.
    BEGIN
        aim := $2;
        said := $3;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN;
    END;
    RETURN QUERY
    WITH mentioned AS (
        SELECT t.value ->> 'task_id' AS task_id, t.value ->> 'result' AS result,
            t.value ->> 'new_task_id' AS new_task_id, 3 AS weight, t.place
        FROM jsonb_array_elements(
            CASE WHEN jsonb_typeof(said -> 'tasks') = 'array' THEN said -> 'tasks' ELSE '[]' END
        ) WITH ORDINALITY AS t (value, place)
        UNION ALL
        SELECT t.value ->> 'task_id', 'purged', NULL, 2, t.place
        FROM jsonb_array_elements(
            CASE WHEN jsonb_typeof(said -> 'purged') = 'array' THEN said -> 'purged' ELSE '[]' END
        ) WITH ORDINALITY AS t (value, place)
        UNION ALL
        SELECT
            CASE WHEN jsonb_typeof(t.value) = 'string' THEN t.value #>> '{}' ELSE t.value ->> 'task_id' END,
            NULL, NULL, 1, t.place
        FROM jsonb_array_elements(
            CASE WHEN jsonb_typeof(aim -> 'tasks') = 'array' THEN aim -> 'tasks' ELSE '[]' END
        ) WITH ORDINALITY AS t (value, place)
        UNION ALL
        SELECT aim ->> 'task_id', NULL, NULL, 0, 1
    )
    SELECT DISTINCT ON (m.task_id)
        m.task_id,
        left(
            CASE
                WHEN m.weight > 1 THEN m.result
                WHEN $1 = 'refused' THEN said ->> 'code'
                WHEN $1 IN ('outcome', 'done') THEN said ->> 'state'
            END,
            100
        ),
        -- Longer than any id of a task: no index could hold it.
        CASE WHEN octet_length(m.new_task_id) <= 1024 THEN m.new_task_id END
    FROM mentioned m
    WHERE octet_length(m.task_id) BETWEEN 1 AND 1024
    ORDER BY m.task_id, m.weight DESC, m.place DESC;
END
$$;
COMMENT ON FUNCTION celerytrail.named_tasks(text, json, json) IS
    'The tasks that an action names: {"task_id"} or {"tasks": [..]} of its target, {"tasks": [{"task_id", "result", "new_task_id"}]} and {"purged": [{"task_id"}]} of its detail.';

CREATE FUNCTION celerytrail.purged_messages(detail json)
RETURNS TABLE (task_id text, sent_unix_nano int8)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    said jsonb;
BEGIN
    BEGIN
        said := $1;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN;
    END;
    RETURN QUERY
    SELECT
        t.value ->> 'task_id',
        CASE
            WHEN NOT t.value ->> 'sent_unix_nano' ~ '^[0-9]{1,19}$' THEN 0
            WHEN (t.value ->> 'sent_unix_nano')::numeric > 9223372036854775807 THEN 0
            ELSE coalesce((t.value ->> 'sent_unix_nano')::int8, 0)
        END
    FROM jsonb_array_elements(
        CASE WHEN jsonb_typeof(said -> 'purged') = 'array' THEN said -> 'purged' ELSE '[]' END
    ) AS t (value)
    WHERE octet_length(t.value ->> 'task_id') BETWEEN 1 AND 1024;
END
$$;
COMMENT ON FUNCTION celerytrail.purged_messages(json) IS
    'The messages that a purge took: {"purged": [{"task_id", "send_id", "sent_unix_nano"}]}. Without a time of sending 0, which any send that is known outweighs.';

CREATE FUNCTION celerytrail.project_actions(action_ids uuid[])
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- First this table, then tasks: the order in which a rebuild locks them.
    INSERT INTO celerytrail.task_actions (
        action_id, task_id, namespace, service, environment, intent_id, action_time, verb, phase,
        result, new_task_id, actor
    )
    SELECT
        a.action_id, n.task_id, coalesce(a.namespace, ''), a.service, coalesce(a.environment, ''),
        a.intent_id, a.action_time, a.verb, a.phase, n.result,
        CASE WHEN a.verb IN ('retry', 'retry-chord') THEN n.new_task_id END, a.actor
    FROM celerytrail.actions a
    CROSS JOIN LATERAL celerytrail.named_tasks(a.phase, a.target, a.detail) AS n
    WHERE a.action_id = ANY (action_ids) AND a.service IS NOT NULL
    ON CONFLICT DO NOTHING;

    -- As the sink does it (sql/queries/read_model.sql), and sorted as there. What is known of the
    -- message comes with its own events, before or after.
    INSERT INTO celerytrail.tasks AS t (
        namespace, service, environment, task_id, state, inferred, finished_at, state_day,
        state_key, attempts, updated_at
    )
    SELECT DISTINCT ON (p.task_id, coalesce(a.namespace, ''), a.service, coalesce(a.environment, ''))
        coalesce(a.namespace, ''), a.service, coalesce(a.environment, ''), p.task_id, s.state,
        false, a.action_time, (a.action_time AT TIME ZONE 'UTC')::date, k.state_key, 1, a.action_time
    FROM celerytrail.actions a
    JOIN celerytrail.steps s ON s.step = 'purged'
    CROSS JOIN LATERAL celerytrail.purged_messages(a.detail) AS p
    CROSS JOIN LATERAL (
        SELECT celerytrail.event_key(
            p.sent_unix_nano, s.rank,
            (extract(epoch FROM a.action_time) * 1000000)::int8 * 1000, a.action_id
        )
    ) AS k (state_key)
    WHERE a.action_id = ANY (action_ids) AND a.service IS NOT NULL
      AND a.verb = 'purge' AND a.phase IN ('progress', 'outcome')
    ORDER BY p.task_id, coalesce(a.namespace, ''), a.service, coalesce(a.environment, ''),
        k.state_key DESC
    ON CONFLICT (task_id, namespace, service, environment) DO UPDATE SET
        state = CASE WHEN excluded.state_key > t.state_key THEN excluded.state ELSE t.state END,
        inferred = CASE WHEN excluded.state_key > t.state_key THEN excluded.inferred ELSE t.inferred END,
        worker = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.worker END,
        finished_at = CASE WHEN excluded.state_key > t.state_key THEN excluded.finished_at ELSE t.finished_at END,
        runtime_us = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.runtime_us END,
        exception_class = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.exception_class END,
        state_day = CASE WHEN excluded.state_key > t.state_key THEN excluded.state_day ELSE t.state_day END,
        exception_commitment = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.exception_commitment END,
        traceback_commitment = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.traceback_commitment END,
        result_commitment = CASE WHEN excluded.state_key > t.state_key THEN NULL ELSE t.result_commitment END,
        state_key = greatest(t.state_key, excluded.state_key),
        updated_at = greatest(t.updated_at, excluded.updated_at);
END
$$;
COMMENT ON FUNCTION celerytrail.project_actions(uuid[]) IS
    'Writes into task_actions and tasks what these rows of actions say. Repeatable, in any order.';

CREATE FUNCTION celerytrail.project_new_actions()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM celerytrail.project_actions((SELECT array_agg(n.action_id) FROM new_rows n));
    RETURN NULL;
END
$$;
CREATE TRIGGER project AFTER INSERT ON celerytrail.actions
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.project_new_actions();
ALTER TABLE celerytrail.actions ENABLE ALWAYS TRIGGER project;
