-- Creates retention: a day is announced in the chain, then dropped in one transaction with saying so.
-- Safe: a new table and new functions, for one role; nothing is dropped by it.

SET LOCAL ROLE celerytrail_owner;

CREATE TABLE celerytrail.day_drops (
    day date PRIMARY KEY,
    action_id uuid NOT NULL,
    actor text NOT NULL,
    actor_kind text NOT NULL,
    announced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    groups int8 NOT NULL,
    rows int8 NOT NULL,
    dropped_at timestamptz,
    forgotten_at timestamptz,
    forgotten jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE celerytrail.day_drops IS
    'The days that retention announced, dropped, and forgot in the read model: how far each has come. Evidence is in the chain.';
GRANT SELECT ON celerytrail.day_drops TO celerytrail_verifier;

CREATE FUNCTION celerytrail.day_content(of_day date)
RETURNS TABLE (groups int8, rows int8)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- By the leaves, which are few and say the same: a day of actions has leaves and loses no row.
    SELECT count(*), coalesce(sum(g.cnt), 0)::int8
    FROM celerytrail.leaf_groups g
    JOIN celerytrail.blocks b ON b.batch_id = g.batch_id AND b.kind = 1
    WHERE g.day = of_day
$$;

CREATE FUNCTION celerytrail.old_days(keep_days int4)
RETURNS TABLE (day date, groups int8, rows int8, announced_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.day, c.groups, c.rows, a.announced_at
    FROM (
        SELECT DISTINCT to_date(right(k.relname, 8), 'YYYYMMDD') AS day
        FROM pg_inherits i
        JOIN pg_class k ON k.oid = i.inhrelid
        WHERE i.inhparent IN (
            'celerytrail.spans'::regclass, 'celerytrail.leaf_groups'::regclass, 'celerytrail.payloads'::regclass
        )
          AND k.relname ~ '_[0-9]{8}$'
    ) AS d
    CROSS JOIN LATERAL celerytrail.day_content(d.day) AS c
    -- What was announced is finished, however many days are kept by now.
    LEFT JOIN celerytrail.day_drops a ON a.day = d.day AND a.dropped_at IS NULL
    WHERE d.day < (clock_timestamp() AT TIME ZONE 'UTC')::date
        - CASE WHEN a.day IS NULL THEN greatest(keep_days, 1) ELSE 1 END
    ORDER BY d.day
$$;
COMMENT ON FUNCTION celerytrail.old_days(int4) IS
    'The days that have partitions and ended more than so many full days ago, at least one, or were announced, oldest first.';

CREATE FUNCTION celerytrail.announce_day_drop(day date, actor text, actor_kind text, reason text)
RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    announced celerytrail.day_drops;
    content record;
    new_id uuid := gen_random_uuid();
BEGIN
    -- One at a time: two at once would announce one day twice.
    LOCK TABLE celerytrail.day_drops IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO announced FROM celerytrail.day_drops d WHERE d.day = $1 AND d.dropped_at IS NULL;
    IF FOUND THEN
        RETURN announced.action_id;
    END IF;
    IF NOT EXISTS (SELECT FROM celerytrail.old_days(1) o WHERE o.day = $1) THEN
        RAISE EXCEPTION 'celerytrail: day % is not dropped: only whole UTC days before yesterday, that are there, are', $1
            USING ERRCODE = 'CT010';
    END IF;
    SELECT c.groups, c.rows INTO content FROM celerytrail.day_content($1) AS c;
    INSERT INTO celerytrail.day_drops AS d (day, action_id, actor, actor_kind, groups, rows)
    VALUES ($1, new_id, $2, $3, content.groups, content.rows)
    ON CONFLICT ON CONSTRAINT day_drops_pkey DO UPDATE SET
        action_id = excluded.action_id, actor = excluded.actor, actor_kind = excluded.actor_kind,
        announced_at = excluded.announced_at, groups = excluded.groups, rows = excluded.rows,
        dropped_at = NULL, forgotten_at = NULL, forgotten = '{}';
    PERFORM celerytrail.append_action(
        action_id => new_id, phase => 'intent', verb => 'retention', actor => $2, actor_kind => $3,
        intent_id => new_id,
        target => json_build_object(
            'day', to_char($1, 'YYYY-MM-DD'), 'groups', content.groups, 'rows', content.rows
        ),
        reason_commitment => celerytrail.keep_reason(new_id, $4)
    );
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION celerytrail.announce_day_drop(date, text, text, text) IS
    'Writes into the chain that a day will be dropped, with its groups and rows, and returns the intent; that of before where it was announced already. Raises CT010 for a day that is not over for a day, or not there.';

CREATE FUNCTION celerytrail.announcement_state(day date)
RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM celerytrail.day_drops d WHERE d.day = $1 AND d.dropped_at IS NULL)
            THEN 'not announced'
        WHEN NOT EXISTS (SELECT FROM celerytrail.checkpoints p WHERE p.note IS NOT NULL)
            THEN 'no checkpoints'
        WHEN EXISTS (
            SELECT
            FROM celerytrail.day_drops d
            JOIN celerytrail.actions a ON a.action_id = d.action_id
            JOIN celerytrail.chain c ON c.batch_id = a.batch_id
            JOIN celerytrail.checkpoints p ON p.note IS NOT NULL AND p.recorded_at >= d.announced_at
            CROSS JOIN LATERAL json_to_recordset(p.chains) AS h (chain int4, n int8)
            WHERE d.day = $1 AND h.chain = c.chain AND h.n >= c.n
              -- Signed and kept nowhere else is not published.
              AND EXISTS (SELECT FROM json_each_text(p.published) AS o (place, said) WHERE o.said = 'ok')
        ) THEN 'published'
        ELSE 'waiting'
    END
$$;
COMMENT ON FUNCTION celerytrail.announcement_state(date) IS
    'Whether a published checkpoint covers the announcement of a day: published, waiting, no checkpoints (nobody makes any), not announced.';

CREATE FUNCTION celerytrail.drop_day(day date, without_checkpoint bool)
RETURNS TABLE (groups int8, rows int8)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Longer than deadlock_timeout, because only a wait of that length ends an autovacuum. It is for the
-- tables of the day, which no new event is written to.
SET lock_timeout = '3s' AS $$
#variable_conflict use_column
DECLARE
    announced celerytrail.day_drops;
    suffix text := to_char($1, 'YYYYMMDD');
    state text := celerytrail.announcement_state($1);
    parent text;
BEGIN
    SELECT * INTO announced FROM celerytrail.day_drops d WHERE d.day = $1 AND d.dropped_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'celerytrail: day % was not announced, or is dropped', $1 USING ERRCODE = 'CT010';
    END IF;
    -- The clock may have been set back since.
    IF $1 >= (clock_timestamp() AT TIME ZONE 'UTC')::date - 1 THEN
        RAISE EXCEPTION 'celerytrail: day % is not dropped: only whole UTC days before yesterday are', $1
            USING ERRCODE = 'CT010';
    END IF;
    IF NOT (state = 'published' OR state = 'no checkpoints' OR $2) THEN
        RAISE EXCEPTION 'celerytrail: no published checkpoint covers the announcement of day % yet', $1
            USING ERRCODE = 'CT011';
    END IF;
    FOREACH parent IN ARRAY ARRAY['spans', 'leaf_groups', 'payloads'] LOOP
        IF to_regclass(format('celerytrail.%I', parent || '_' || suffix)) IS NOT NULL THEN
            EXECUTE format('LOCK TABLE celerytrail.%I IN ACCESS EXCLUSIVE MODE', parent || '_' || suffix);
        END IF;
    END LOOP;
    -- Sinks wait while this waits: behind a reader's open transaction it gives up and is tried again.
    SET LOCAL lock_timeout = '200ms';
    LOCK TABLE ONLY celerytrail.spans, ONLY celerytrail.leaf_groups, ONLY celerytrail.payloads
        IN ACCESS EXCLUSIVE MODE;
    -- As it is now: until a moment ago events of that day could come.
    SELECT c.groups, c.rows INTO groups, rows FROM celerytrail.day_content($1) AS c;
    FOREACH parent IN ARRAY ARRAY['spans', 'leaf_groups', 'payloads'] LOOP
        EXECUTE format('DROP TABLE IF EXISTS celerytrail.%I', parent || '_' || suffix);
    END LOOP;
    UPDATE celerytrail.horizon h SET retained_from = greatest(h.retained_from, $1 + 1);
    UPDATE celerytrail.day_drops d
    SET dropped_at = clock_timestamp(), groups = drop_day.groups, rows = drop_day.rows
    WHERE d.day = $1;
    -- In the same transaction, so that verification finds both or neither.
    PERFORM celerytrail.append_action(
        action_id => gen_random_uuid(), phase => 'outcome', verb => 'retention',
        actor => announced.actor, actor_kind => announced.actor_kind, intent_id => announced.action_id,
        target => json_build_object('day', to_char($1, 'YYYY-MM-DD')),
        detail => json_build_object(
            'state', 'succeeded', 'groups', groups, 'rows', rows, 'checkpoint', state
        )
    );
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION celerytrail.drop_day(date, bool) IS
    'Drops the partitions of an announced day, raises the horizon and says so in the chain, in one transaction. Raises CT010 for a day that is not announced, CT011 while no checkpoint covers the announcement, lock_not_available while somebody reads.';

GRANT EXECUTE ON FUNCTION
    celerytrail.old_days(int4),
    celerytrail.announce_day_drop(date, text, text, text),
    celerytrail.announcement_state(date),
    celerytrail.drop_day(date, bool)
TO celerytrail_maintainer;
