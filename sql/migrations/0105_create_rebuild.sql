-- Creates what builds the read model again beside itself, compares the two and repairs what differs.
-- Safe: new functions that nobody but the owner may execute; they change nothing until they are called.

SET LOCAL ROLE celerytrail_owner;

-- Not celerytrail_...: the verifier would report the tables of a rebuild that is running.
CREATE FUNCTION celerytrail.read_model_tables()
RETURNS SETOF text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('task_actions'), ('streams'), ('tasks'), ('runs'), ('run_ends'), ('groups'), ('workers')
$$;
COMMENT ON FUNCTION celerytrail.read_model_tables() IS
    'The tables of the read model, in the order in which a rebuild locks them: a transaction of the sink comes to streams before the others, one of the action API to task_actions.';

CREATE FUNCTION celerytrail.begin_rebuild(made_by text)
RETURNS bool
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one text;
    dropped_until date;
    pattern text;
BEGIN
    SELECT h.retained_from INTO STRICT dropped_until FROM celerytrail.horizon h;
    IF to_regclass('shadow_of_celerytrail.about') IS NOT NULL THEN
        PERFORM FROM shadow_of_celerytrail.about a
        WHERE a.made_by = begin_rebuild.made_by AND a.retained_from = dropped_until;
        IF FOUND THEN
            RETURN true;
        END IF;
    END IF;
    PERFORM celerytrail.end_rebuild();
    CREATE SCHEMA shadow_of_celerytrail;
    -- A crash of the server empties all of them together, progress too: then it begins anew.
    CREATE UNLOGGED TABLE shadow_of_celerytrail.about (made_by text NOT NULL, retained_from date NOT NULL);
    CREATE UNLOGGED TABLE shadow_of_celerytrail.progress (chain int4 PRIMARY KEY, n int8 NOT NULL);
    CREATE UNLOGGED TABLE shadow_of_celerytrail.staged_spans (LIKE celerytrail.spans);
    FOR one IN SELECT t FROM celerytrail.read_model_tables() AS t LOOP
        EXECUTE format(
            'CREATE UNLOGGED TABLE shadow_of_celerytrail.%1$I (LIKE celerytrail.%1$I INCLUDING DEFAULTS INCLUDING GENERATED)', one
        );
        EXECUTE format(
            'ALTER TABLE shadow_of_celerytrail.%I ADD %s', one,
            (
                SELECT pg_get_constraintdef(c.oid)
                FROM pg_constraint c
                WHERE c.conrelid = format('celerytrail.%I', one)::regclass AND c.contype = 'p'
            )
        );
    END LOOP;
    -- Actions are projected by a copy of the function that projects them every day.
    SELECT format('\mcelerytrail\.(%s|project_actions)\M', string_agg(t, '|'))
    INTO pattern
    FROM celerytrail.read_model_tables() AS t;
    EXECUTE regexp_replace(
        pg_get_functiondef('celerytrail.project_actions(uuid[])'::regprocedure), pattern,
        'shadow_of_celerytrail.\1', 'g'
    );
    -- Numbers of events that retention dropped are nowhere else.
    IF dropped_until > '-infinity' THEN
        INSERT INTO shadow_of_celerytrail.streams SELECT s.* FROM celerytrail.streams s;
    END IF;
    INSERT INTO shadow_of_celerytrail.about VALUES (begin_rebuild.made_by, dropped_until);
    RETURN false;
END
$$;
COMMENT ON FUNCTION celerytrail.begin_rebuild(text) IS
    'Makes an empty read model beside the one in use, or returns true where the same version of the code had begun one that can be gone on with.';

CREATE FUNCTION celerytrail.end_rebuild()
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DROP SCHEMA IF EXISTS shadow_of_celerytrail CASCADE;
END
$$;
COMMENT ON FUNCTION celerytrail.end_rebuild() IS 'Removes the read model that a rebuild made beside the one in use.';

-- By place in the chain, which is the order of commits: whatever is committed later has a later place.
CREATE FUNCTION celerytrail.stage_rebuild(rows_at_once int4)
RETURNS TABLE (blocks int8, spans int8, actions int8)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    span_batches int8[];
    action_batches int8[];
    span_days date[];
    action_ids uuid[];
BEGIN
    TRUNCATE shadow_of_celerytrail.staged_spans;
    WITH next_blocks AS (
        SELECT
            h.chain, c.n, c.batch_id, c.kind, c.days,
            sum(c.cnt) OVER (ORDER BY h.chain, c.n) - c.cnt AS rows_before
        FROM celerytrail.chain_head h
        LEFT JOIN shadow_of_celerytrail.progress p ON p.chain = h.chain
        CROSS JOIN LATERAL (
            SELECT l.n, l.batch_id, b.kind, b.cnt, b.days
            FROM celerytrail.chain l
            JOIN celerytrail.blocks b ON b.batch_id = l.batch_id
            WHERE l.chain = h.chain AND l.n > coalesce(p.n, 0)
            ORDER BY l.n
            LIMIT rows_at_once
        ) AS c
    ), taken AS (
        SELECT * FROM next_blocks t WHERE t.rows_before < rows_at_once
    ), noted AS (
        INSERT INTO shadow_of_celerytrail.progress AS p (chain, n)
        SELECT t.chain, max(t.n) FROM taken t GROUP BY t.chain
        ON CONFLICT (chain) DO UPDATE SET n = excluded.n
    )
    SELECT
        count(*),
        array_agg(t.batch_id) FILTER (WHERE t.kind = 1),
        array_agg(t.batch_id) FILTER (WHERE t.kind = 2),
        (SELECT array_agg(DISTINCT d.day) FROM taken k CROSS JOIN LATERAL unnest(k.days) AS d (day) WHERE k.kind = 1)
    INTO blocks, span_batches, action_batches, span_days
    FROM taken t;

    INSERT INTO shadow_of_celerytrail.staged_spans
    SELECT s.*
    FROM celerytrail.spans s
    WHERE s.batch_id = ANY (span_batches) AND s.day = ANY (span_days);
    GET DIAGNOSTICS spans = ROW_COUNT;
    INSERT INTO shadow_of_celerytrail.streams (stream_id, namespace, service, environment)
    SELECT g.stream_id, g.namespace, g.service, g.environment FROM shadow_of_celerytrail.staged_spans g
    UNION
    SELECT g.about_stream_id, g.namespace, g.service, g.environment
    FROM shadow_of_celerytrail.staged_spans g
    WHERE g.about_stream_id IS NOT NULL
    ON CONFLICT DO NOTHING;

    SELECT array_agg(a.action_id), count(*)
    INTO action_ids, actions
    FROM celerytrail.actions a
    WHERE a.batch_id = ANY (action_batches);
    IF actions > 0 THEN
        PERFORM shadow_of_celerytrail.project_actions(action_ids);
    END IF;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION celerytrail.stage_rebuild(int4) IS
    'Takes the next blocks with about so many rows: spans into staged_spans, where the statements of the sink read them, actions at once. Returns no blocks when there are none left.';

CREATE FUNCTION celerytrail.settle_rebuild()
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM
    FROM celerytrail.horizon h
    JOIN shadow_of_celerytrail.about a ON a.retained_from = h.retained_from;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'celerytrail: retention dropped days while the read model was being rebuilt: begin again'
            USING ERRCODE = 'CT009';
    END IF;
    -- Numbers that were refused are nowhere else, nor are streams of which nothing was stored.
    INSERT INTO shadow_of_celerytrail.streams (
        stream_id, namespace, service, environment, refused, last_seq
    )
    SELECT
        l.stream_id, l.namespace, l.service, l.environment, l.refused,
        coalesce(upper(l.refused) - 1, 0)
    FROM celerytrail.streams l
    WHERE l.seqs = '{}'
    ON CONFLICT DO NOTHING;
    UPDATE shadow_of_celerytrail.streams s
    SET refused = l.refused, last_seq = greatest(s.last_seq, upper(l.refused) - 1)
    FROM celerytrail.streams l
    WHERE (l.stream_id, l.namespace, l.service, l.environment)
        = (s.stream_id, s.namespace, s.service, s.environment)
      AND l.refused <> s.refused;
END
$$;
COMMENT ON FUNCTION celerytrail.settle_rebuild() IS
    'Takes over from the read model in use what the ledger does not say. Raises CT009 when days were dropped since the rebuild began.';

CREATE FUNCTION celerytrail.rebuild_columns(table_name text, only_key bool, alias text)
RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(coalesce(alias || '.', '') || quote_ident(a.attname), ', ' ORDER BY a.attnum)
    FROM pg_attribute a
    JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = format('celerytrail.%I', table_name)::regclass
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND (NOT only_key OR a.attnum = ANY (i.indkey::int2[]))
$$;
COMMENT ON FUNCTION celerytrail.rebuild_columns(text, bool, text) IS
    'The columns of a table of the read model, or of its key, as a list for a statement.';

-- A row that reaches back before what retention dropped cannot be compared, and is left as it is.
CREATE FUNCTION celerytrail.rebuild_comparable(table_name text)
RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN h.retained_from = '-infinity' OR table_name IN ('streams', 'task_actions') THEN 'true'
        ELSE format(
            'coalesce(least(%s) >= %L::timestamptz, true)',
            (
                SELECT string_agg('l.' || quote_ident(a.attname), ', ')
                FROM pg_attribute a
                WHERE a.attrelid = format('celerytrail.%I', table_name)::regclass
                  AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'timestamptz'::regtype
                  AND a.attname <> 'eta'
            ),
            to_char(h.retained_from, 'YYYY-MM-DD') || ' 00:00:00+00'
        )
    END
    FROM celerytrail.horizon h
$$;

CREATE FUNCTION celerytrail.compare_rebuild(table_name text)
RETURNS int8
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys text := celerytrail.rebuild_columns(table_name, true, NULL);
    differing int8;
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS shadow_of_celerytrail.%I', 'differing_' || table_name);
    EXECUTE format(
        'CREATE UNLOGGED TABLE shadow_of_celerytrail.%1$I AS'
        ' SELECT row_number() OVER (ORDER BY %2$s) AS place, %2$s'
        ' FROM celerytrail.%3$I l FULL JOIN shadow_of_celerytrail.%3$I s USING (%2$s)'
        ' WHERE ROW(%4$s) IS DISTINCT FROM ROW(%5$s) AND %6$s',
        'differing_' || table_name, keys, table_name,
        celerytrail.rebuild_columns(table_name, false, 'l'),
        celerytrail.rebuild_columns(table_name, false, 's'),
        celerytrail.rebuild_comparable(table_name)
    );
    GET DIAGNOSTICS differing = ROW_COUNT;
    EXECUTE format('ALTER TABLE shadow_of_celerytrail.%I ADD PRIMARY KEY (place)', 'differing_' || table_name);
    EXECUTE format('ANALYZE shadow_of_celerytrail.%I', 'differing_' || table_name);
    RETURN differing;
END
$$;
COMMENT ON FUNCTION celerytrail.compare_rebuild(text) IS
    'Notes the keys of the rows that are not as the ledger has them, and returns how many they are.';

CREATE FUNCTION celerytrail.rebuild_differences(table_name text, at_most int4)
RETURNS TABLE (key text, column_name text, stored text, rebuilt text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET bytea_output = hex SET enable_nestloop = on AS $$
DECLARE
    keys text := celerytrail.rebuild_columns(table_name, true, NULL);
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT concat_ws('' '', %1$s),'
        ' CASE WHEN l.l IS NULL OR s.s IS NULL THEN NULL ELSE c.name END,'
        ' CASE WHEN l.l IS NULL THEN ''no row'' WHEN s.s IS NULL THEN ''a row'' ELSE to_jsonb(l.l) ->> c.name END,'
        ' CASE WHEN s.s IS NULL THEN ''no row'' WHEN l.l IS NULL THEN ''a row'' ELSE to_jsonb(s.s) ->> c.name END'
        -- Each row differs in one column at least.
        ' FROM (SELECT d.* FROM shadow_of_celerytrail.%2$I d WHERE d.place <= %8$s) AS d'
        ' LEFT JOIN LATERAL (SELECT l FROM celerytrail.%3$I l WHERE (%4$s) = (%5$s)) AS l ON true'
        ' LEFT JOIN LATERAL (SELECT s FROM shadow_of_celerytrail.%3$I s WHERE (%6$s) = (%5$s)) AS s ON true'
        ' CROSS JOIN LATERAL ('
        '     SELECT a.attname::text AS name FROM pg_attribute a'
        '     WHERE a.attrelid = %7$L::regclass AND a.attnum > 0 AND NOT a.attisdropped'
        '       AND CASE WHEN l.l IS NULL OR s.s IS NULL THEN a.attnum = 1'
        '           ELSE to_jsonb(l.l) -> a.attname::text IS DISTINCT FROM to_jsonb(s.s) -> a.attname::text END'
        ' ) AS c'
        ' ORDER BY d.place, c.name LIMIT %8$s',
        celerytrail.rebuild_columns(table_name, true, 'd'), 'differing_' || table_name, table_name,
        celerytrail.rebuild_columns(table_name, true, 'l'),
        celerytrail.rebuild_columns(table_name, true, 'd'),
        celerytrail.rebuild_columns(table_name, true, 's'),
        format('celerytrail.%I', table_name), at_most
    );
END
$$;
COMMENT ON FUNCTION celerytrail.rebuild_differences(text, int4) IS
    'What differs, column by column, in the rows that compare_rebuild() noted.';

-- A few rows by their keys, in a transaction in which the statements of the sink turned nested loops off.
CREATE FUNCTION celerytrail.repair_from_rebuild(table_name text, after_place int8, up_to_place int8)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_nestloop = on AS $$
DECLARE
    columns text := celerytrail.rebuild_columns(table_name, false, NULL);
    keys_d text := celerytrail.rebuild_columns(table_name, true, 'd');
BEGIN
    EXECUTE format(
        'DELETE FROM celerytrail.%1$I l USING shadow_of_celerytrail.%2$I d'
        ' WHERE (%3$s) = (%4$s) AND d.place > $1 AND d.place <= $2',
        table_name, 'differing_' || table_name, celerytrail.rebuild_columns(table_name, true, 'l'), keys_d
    ) USING after_place, up_to_place;
    EXECUTE format(
        'INSERT INTO celerytrail.%1$I (%5$s) SELECT %6$s'
        ' FROM shadow_of_celerytrail.%1$I s JOIN shadow_of_celerytrail.%2$I d ON (%3$s) = (%4$s)'
        ' WHERE d.place > $1 AND d.place <= $2',
        table_name, 'differing_' || table_name, celerytrail.rebuild_columns(table_name, true, 's'), keys_d,
        columns, celerytrail.rebuild_columns(table_name, false, 's')
    ) USING after_place, up_to_place;
END
$$;
COMMENT ON FUNCTION celerytrail.repair_from_rebuild(text, int8, int8) IS
    'Gives the noted rows of these places the content that the ledger has for them. The caller holds the locks and has staged everything.';
