-- Lets the maintainer erase: choose tasks, mark them, erase in batches, each in the chain; and finish what a killed run began.
-- Safe: new functions, for one role.

SET LOCAL ROLE celerytrail_owner;

CREATE FUNCTION celerytrail.chosen_tasks(
    task_ids text[], namespace text, service text, environment text, task_name text, state text,
    from_time timestamptz, to_time timestamptz, kinds text[]
)
RETURNS SETOF celerytrail.task_key
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- For the values that are given: one run, and an index is right for some filters only.
SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    IF $1 IS NOT NULL THEN
        RETURN QUERY
        SELECT t.namespace, t.service, t.environment, t.task_id
        FROM celerytrail.tasks t
        WHERE t.task_id = ANY ($1)
          AND ($2 IS NULL OR t.namespace = $2) AND ($3 IS NULL OR t.service = $3)
          AND ($4 IS NULL OR t.environment = $4)
        UNION
        SELECT p.namespace, p.service, p.environment, p.task_id
        FROM celerytrail.payloads p
        WHERE p.task_id = ANY ($1)
          AND ($2 IS NULL OR p.namespace = $2) AND ($3 IS NULL OR p.service = $3)
          AND ($4 IS NULL OR p.environment = $4)
        UNION
        -- One that nobody has heard of yet: what comes of it is refused.
        SELECT $2, $3, $4, i.task_id
        FROM unnest($1) AS i (task_id)
        WHERE $2 IS NOT NULL AND $3 IS NOT NULL AND $4 IS NOT NULL AND i.task_id <> '';
        RETURN;
    END IF;
    RETURN QUERY
    SELECT k.namespace, k.service, k.environment, k.task_id
    FROM (
        SELECT t.namespace, t.service, t.environment, t.task_id
        FROM celerytrail.tasks t
        WHERE ($2 IS NULL OR t.namespace = $2) AND ($3 IS NULL OR t.service = $3)
          AND ($4 IS NULL OR t.environment = $4) AND ($5 IS NULL OR t.task_name = $5)
          AND ($6 IS NULL OR t.state = $6)
          AND (
              $7 IS NULL AND $8 IS NULL
              OR t.updated_at >= coalesce($7, '-infinity') AND t.updated_at < coalesce($8, 'infinity')
              -- Only events whose clock is impossible: by what they say.
              OR t.updated_at IS NULL
                  AND greatest(t.finished_at, t.started_at, t.received_at, t.sent_at) >= coalesce($7, '-infinity')
                  AND greatest(t.finished_at, t.started_at, t.received_at, t.sent_at) < coalesce($8, 'infinity')
          )
        UNION
        -- Payloads whose spans have not come.
        SELECT p.namespace, p.service, p.environment, p.task_id
        FROM celerytrail.payloads p
        WHERE $5 IS NULL AND $6 IS NULL
          AND ($2 IS NULL OR p.namespace = $2) AND ($3 IS NULL OR p.service = $3)
          AND ($4 IS NULL OR p.environment = $4)
          AND ($7 IS NULL OR p.event_time >= $7) AND ($8 IS NULL OR p.event_time < $8)
          AND NOT EXISTS (
              SELECT
              FROM celerytrail.tasks t
              WHERE t.task_id = p.task_id
                AND (t.namespace, t.service, t.environment) = (p.namespace, p.service, p.environment)
          )
    ) AS k
    WHERE NOT EXISTS (
        SELECT
        FROM celerytrail.erased_tasks e
        WHERE e.task_id = k.task_id
          AND (e.namespace, e.service, e.environment) = (k.namespace, k.service, k.environment)
          AND e.kinds @> $9
    );
END
$$;
COMMENT ON FUNCTION celerytrail.chosen_tasks(
    text[], text, text, text, text, text, timestamptz, timestamptz, text[]
) IS 'The tasks that an erasure is about: by id, or by deployment, name, state and the time of the last event. By filter without those that were erased.';

CREATE FUNCTION celerytrail.require_selection(
    task_ids text[], namespace text, service text, environment text, task_name text, state text,
    from_time timestamptz, to_time timestamptz, kinds text[]
)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(cardinality($9), 0) = 0 OR NOT $9 <@ celerytrail.erasable_kinds() THEN
        RAISE EXCEPTION 'celerytrail: kinds to erase are some of %, not %', celerytrail.erasable_kinds(), $9
            USING ERRCODE = 'CT007';
    END IF;
    IF cardinality($1) NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'celerytrail: 1 to 1000000 ids of tasks, not %', cardinality($1) USING ERRCODE = 'CT007';
    END IF;
    IF $1 IS NOT NULL AND ($5 IS NOT NULL OR $6 IS NOT NULL OR $7 IS NOT NULL OR $8 IS NOT NULL) THEN
        RAISE EXCEPTION 'celerytrail: tasks are chosen by their ids or by a filter, not by both'
            USING ERRCODE = 'CT007';
    END IF;
    IF $1 IS NULL AND num_nonnulls($2, $3, $4, $5, $6, $7, $8) = 0 THEN
        RAISE EXCEPTION 'celerytrail: an erasure needs ids of tasks or a filter' USING ERRCODE = 'CT007';
    END IF;
    IF $8 > clock_timestamp() THEN
        RAISE EXCEPTION 'celerytrail: a filter ends now at the latest, not at %', $8 USING ERRCODE = 'CT007';
    END IF;
END
$$;

CREATE FUNCTION celerytrail.preview_erasure(
    task_ids text[], namespace text, service text, environment text, task_name text, state text,
    from_time timestamptz, to_time timestamptz, kinds text[]
)
RETURNS TABLE (tasks int8, payloads int8)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM celerytrail.require_selection($1, $2, $3, $4, $5, $6, $7, $8, $9);
    RETURN QUERY
    WITH chosen AS MATERIALIZED (
        SELECT c.namespace, c.service, c.environment, c.task_id
        FROM celerytrail.chosen_tasks($1, $2, $3, $4, $5, $6, $7, $8, $9) AS c
    )
    SELECT
        (SELECT count(*) FROM chosen),
        (
            SELECT count(*)
            FROM chosen c
            JOIN celerytrail.payloads p
                ON p.task_id = c.task_id
               AND (p.namespace, p.service, p.environment) = (c.namespace, c.service, c.environment)
            WHERE p.kind = ANY ($9)
        );
END
$$;
COMMENT ON FUNCTION celerytrail.preview_erasure(
    text[], text, text, text, text, text, timestamptz, timestamptz, text[]
) IS 'How many tasks and payloads an erasure would be about. Changes nothing.';

CREATE FUNCTION celerytrail.begin_erasure(
    erasure_id uuid, actor text, actor_kind text, reason text,
    task_ids text[], namespace text, service text, environment text, task_name text, state text,
    from_time timestamptz, to_time timestamptz, kinds text[]
)
RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    chosen int8;
    selection json;
BEGIN
    PERFORM celerytrail.require_selection(
        task_ids, namespace, service, environment, task_name, state, from_time, to_time, kinds
    );
    -- Not the ids that were given: what somebody types may be anything, and the chain is for ever.
    selection := json_strip_nulls(json_build_object(
        'ids', cardinality(task_ids), 'namespace', namespace, 'service', service,
        'environment', environment, 'task_name', task_name, 'state', state,
        'from', from_time, 'to', to_time
    ));
    INSERT INTO celerytrail.erasures (erasure_id, actor, actor_kind, kinds, selection, tasks)
    VALUES (
        erasure_id, actor, actor_kind,
        ARRAY(SELECT DISTINCT k.kind FROM unnest(kinds) AS k (kind) ORDER BY 1), selection, 0
    );
    INSERT INTO celerytrail.erasure_targets AS t (erasure_id, namespace, service, environment, task_id)
    SELECT erasure_id, c.namespace, c.service, c.environment, c.task_id
    FROM celerytrail.chosen_tasks(
        task_ids, namespace, service, environment, task_name, state, from_time, to_time, kinds
    ) AS c
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS chosen = ROW_COUNT;
    UPDATE celerytrail.erasures e SET tasks = chosen WHERE e.erasure_id = begin_erasure.erasure_id;
    PERFORM celerytrail.append_action(
        action_id => erasure_id, phase => 'intent', verb => 'erase', actor => actor,
        actor_kind => actor_kind, namespace => namespace, service => service,
        environment => environment, intent_id => erasure_id,
        target => json_build_object('select', selection, 'kinds', kinds, 'count', chosen),
        reason_commitment => celerytrail.keep_reason(erasure_id, reason)
    );
    RETURN chosen;
END
$$;
COMMENT ON FUNCTION celerytrail.begin_erasure(
    uuid, text, text, text, text[], text, text, text, text, text, timestamptz, timestamptz, text[]
) IS 'Fixes which tasks are to be erased and writes the intent into the chain. Returns how many. Erases nothing yet. Raises CT007.';

CREATE FUNCTION celerytrail.mark_erased(erasure_id uuid, at_most int4)
RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    batch celerytrail.task_key[];
BEGIN
    SELECT array_agg((m.namespace, m.service, m.environment, m.task_id)::celerytrail.task_key)
    INTO batch
    FROM (
        SELECT t.namespace, t.service, t.environment, t.task_id
        FROM celerytrail.erasure_targets t
        WHERE t.erasure_id = $1 AND NOT t.marked
        LIMIT least($2, 5000)
        FOR UPDATE SKIP LOCKED
    ) AS m;
    IF batch IS NULL THEN
        RETURN 0;
    END IF;
    -- Waits for whoever has inserted payloads after looking, and for nobody who only reads.
    LOCK TABLE celerytrail.erased_tasks IN EXCLUSIVE MODE;
    INSERT INTO celerytrail.erased_tasks AS e (
        namespace, service, environment, task_id, kinds, erasure_id, erased_at
    )
    SELECT k.namespace, k.service, k.environment, k.task_id, r.kinds, $1, clock_timestamp()
    FROM unnest(batch) AS k
    JOIN celerytrail.erasures r ON r.erasure_id = $1
    ON CONFLICT ON CONSTRAINT erased_tasks_pkey DO UPDATE SET
        kinds = ARRAY(SELECT DISTINCT u.kind FROM unnest(e.kinds || excluded.kinds) AS u (kind) ORDER BY 1),
        erasure_id = excluded.erasure_id,
        erased_at = excluded.erased_at;
    UPDATE celerytrail.erasure_targets t
    SET marked = true
    FROM unnest(batch) AS k
    WHERE t.erasure_id = $1
      AND (t.namespace, t.service, t.environment, t.task_id) = (k.namespace, k.service, k.environment, k.task_id);
    RETURN cardinality(batch);
END
$$;
COMMENT ON FUNCTION celerytrail.mark_erased(uuid, int4) IS
    'Marks the next tasks of an erasure, from when on payloads of them are refused. Returns how many; 0 when all are.';

CREATE FUNCTION celerytrail.erase_marked(erasure_id uuid, at_most int4)
RETURNS TABLE (tasks int8, counts jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    batch celerytrail.task_key[];
    erasure celerytrail.erasures;
BEGIN
    SELECT * INTO erasure FROM celerytrail.erasures e WHERE e.erasure_id = $1 AND e.finished_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Of one deployment, because an action of the chain is about one; not more ids than an action may hold.
    WITH taken AS MATERIALIZED (
        SELECT t.namespace, t.service, t.environment, t.task_id
        FROM celerytrail.erasure_targets t
        WHERE t.erasure_id = $1 AND t.marked
        ORDER BY t.namespace, t.service, t.environment, t.task_id
        LIMIT least($2, 5000)
        FOR UPDATE SKIP LOCKED
    ), sized AS (
        SELECT
            t.*,
            sum(octet_length(to_json(t.task_id)::text) + 50) OVER w AS size,
            first_value((t.namespace, t.service, t.environment)) OVER w AS deployment
        FROM taken t
        WINDOW w AS (ORDER BY t.namespace, t.service, t.environment, t.task_id)
    )
    SELECT array_agg(
        (s.namespace, s.service, s.environment, s.task_id)::celerytrail.task_key ORDER BY s.task_id
    )
    INTO batch
    FROM sized s
    WHERE (s.namespace, s.service, s.environment) = s.deployment AND s.size < 900000;
    IF batch IS NULL THEN
        RETURN;
    END IF;
    tasks := cardinality(batch);
    counts := celerytrail.erase_everywhere(batch, erasure.kinds);
    DELETE FROM celerytrail.erasure_targets t
    USING unnest(batch) AS k
    WHERE t.erasure_id = $1
      AND (t.namespace, t.service, t.environment, t.task_id) = (k.namespace, k.service, k.environment, k.task_id);
    UPDATE celerytrail.erasures e
    SET counts = (
        SELECT jsonb_object_agg(c.place, c.sum)
        FROM (
            SELECT b.key AS place, sum(b.value::int8) AS sum
            FROM (
                SELECT * FROM jsonb_each_text(e.counts)
                UNION ALL
                SELECT * FROM jsonb_each_text(erase_marked.counts)
                UNION ALL
                SELECT 'tasks', erase_marked.tasks::text
            ) AS b (key, value)
            GROUP BY b.key
        ) AS c
    )
    WHERE e.erasure_id = $1;
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'progress', verb => 'erase', actor => erasure.actor,
        actor_kind => erasure.actor_kind, namespace => batch[1].namespace, service => batch[1].service,
        environment => batch[1].environment, intent_id => $1,
        detail => json_build_object(
            'tasks', (
                SELECT json_agg(json_build_object('task_id', k.task_id, 'result', 'erased'))
                FROM unnest(batch) AS k
            ),
            'counts', counts
        )
    );
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION celerytrail.erase_marked(uuid, int4) IS
    'Erases the next marked tasks of an erasure and writes into the chain which they were. No row when none is left.';

CREATE FUNCTION celerytrail.finish_erasure(erasure_id uuid)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    done celerytrail.erasures;
BEGIN
    UPDATE celerytrail.erasures e
    SET finished_at = clock_timestamp()
    WHERE e.erasure_id = $1 AND e.finished_at IS NULL
      AND NOT EXISTS (SELECT FROM celerytrail.erasure_targets t WHERE t.erasure_id = $1)
    RETURNING * INTO done;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'outcome', verb => 'erase', actor => done.actor,
        actor_kind => done.actor_kind, namespace => done.selection ->> 'namespace',
        service => done.selection ->> 'service', environment => done.selection ->> 'environment',
        intent_id => $1, target => json_build_object('select', done.selection, 'kinds', done.kinds),
        detail => json_strip_nulls(json_build_object(
            'state', 'succeeded', 'counts', done.counts, 'continued_by', done.continued_by
        ))
    );
    RETURN done.counts;
END
$$;
COMMENT ON FUNCTION celerytrail.finish_erasure(uuid) IS
    'Writes the outcome of an erasure into the chain and returns its counts; NULL when something is left to do, or somebody has finished it.';

CREATE FUNCTION celerytrail.open_erasures()
RETURNS TABLE (erasure_id uuid, actor text, begun_at timestamptz, remaining int8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        e.erasure_id, e.actor, e.begun_at,
        (SELECT count(*) FROM celerytrail.erasure_targets t WHERE t.erasure_id = e.erasure_id)
    FROM celerytrail.erasures e
    WHERE e.finished_at IS NULL
    ORDER BY e.begun_at
$$;
COMMENT ON FUNCTION celerytrail.open_erasures() IS 'The erasures that nobody has finished, oldest first.';

CREATE FUNCTION celerytrail.continue_erasure(erasure_id uuid, actor text, actor_kind text)
RETURNS bool
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    UPDATE celerytrail.erasures e
    SET continued_by = $2
    WHERE e.erasure_id = $1 AND e.finished_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'progress', verb => 'erase', actor => $2,
        actor_kind => $3, intent_id => $1, detail => json_build_object('continued_by', $2)
    );
    RETURN true;
END
$$;
COMMENT ON FUNCTION celerytrail.continue_erasure(uuid, text, text) IS
    'Says in the chain that somebody goes on with an erasure that was broken off. False when it is finished.';

CREATE FUNCTION celerytrail.erase_reasons(
    erasure_id uuid, actor text, actor_kind text, reason text, intent_ids uuid[]
)
RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed int8;
BEGIN
    IF coalesce(cardinality($5), 0) NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'celerytrail: 1 to 1000 actions, not %', cardinality($5) USING ERRCODE = 'CT007';
    END IF;
    PERFORM celerytrail.append_action(
        action_id => $1, phase => 'intent', verb => 'erase', actor => $2, actor_kind => $3,
        intent_id => $1, target => json_build_object('actions', $5, 'kinds', ARRAY['reason']),
        reason_commitment => celerytrail.keep_reason($1, $4)
    );
    DELETE FROM celerytrail.action_reasons r WHERE r.intent_id = ANY ($5) AND r.intent_id <> $1;
    GET DIAGNOSTICS removed = ROW_COUNT;
    UPDATE celerytrail.intents i
    SET request_hash = sha256(uuid_send(gen_random_uuid()))
    WHERE i.intent_id = ANY ($5) AND i.request_hash IS NOT NULL;
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'outcome', verb => 'erase', actor => $2,
        actor_kind => $3, intent_id => $1,
        target => json_build_object('actions', $5, 'kinds', ARRAY['reason']),
        detail => json_build_object('state', 'succeeded', 'counts', json_build_object('action_reasons', removed))
    );
    RETURN removed;
END
$$;
COMMENT ON FUNCTION celerytrail.erase_reasons(uuid, text, text, text, uuid[]) IS
    'Erases the words given as the reasons of these actions, named by their intents. Returns how many there were.';

GRANT EXECUTE ON FUNCTION
    celerytrail.preview_erasure(text[], text, text, text, text, text, timestamptz, timestamptz, text[]),
    celerytrail.begin_erasure(
        uuid, text, text, text, text[], text, text, text, text, text, timestamptz, timestamptz, text[]
    ),
    celerytrail.mark_erased(uuid, int4),
    celerytrail.erase_marked(uuid, int4),
    celerytrail.finish_erasure(uuid),
    celerytrail.open_erasures(),
    celerytrail.continue_erasure(uuid, text, text),
    celerytrail.erase_reasons(uuid, text, text, text, uuid[])
TO celerytrail_maintainer;
