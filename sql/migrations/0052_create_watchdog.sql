-- Lets the maintainer end what a role of the ledger holds too long, and say where the hardening has gaps.
-- Safe: new functions; the owner becomes a member of the roles whose sessions it ends, and can do more than they already.

-- Being a member is the right to see a role's sessions, to signal them, and to remove what it owns.
-- It is narrower than pg_signal_backend, which reaches everybody's sessions.
GRANT celerytrail_grafana, celerytrail_sink, celerytrail_actions TO celerytrail_owner;

SET LOCAL ROLE celerytrail_owner;

CREATE FUNCTION celerytrail.watch_sessions(
    statement_bound interval, idle_bound interval, session_bound interval,
    writer_bound interval DEFAULT '5 minutes'
)
RETURNS TABLE (pid int4, role_name name, reason text, ended bool)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    right_now timestamptz := clock_timestamp();
    owns_temporary bool;
    one record;
BEGIN
    -- A bound that a caller could raise or lower at will would be none, or a way to stop the sinks.
    statement_bound := least(greatest(statement_bound, interval '1 second'), interval '10 minutes');
    idle_bound := least(greatest(idle_bound, interval '1 second'), interval '30 seconds');
    session_bound := least(greatest(session_bound, interval '5 seconds'), interval '1 hour');
    writer_bound := least(greatest(writer_bound, interval '1 second'), interval '5 minutes');
    owns_temporary := EXISTS (
        SELECT
        FROM pg_class c
        WHERE c.relowner = 'celerytrail_grafana'::regrole AND c.relpersistence = 't'
    );

    FOR one IN
        SELECT
            a.pid, a.usename, a.state, a.usename = 'celerytrail_grafana' AS is_reader,
            right_now - a.query_start AS statement_age,
            right_now - a.xact_start AS transaction_age,
            right_now - a.state_change AS state_age,
            right_now - a.backend_start AS session_age,
            EXISTS (
                SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory'
            ) AS holds_advisory
        FROM pg_stat_activity a
        WHERE a.datname = current_database()
          AND a.usename IN ('celerytrail_grafana', 'celerytrail_sink', 'celerytrail_actions')
          AND a.pid <> pg_backend_pid()
          AND a.backend_type = 'client backend'
    LOOP
        pid := one.pid;
        role_name := one.usename;
        ended := true;
        reason := CASE
            -- A reader has no need of transactions at all, so a word now and then does not prolong one.
            WHEN one.state LIKE 'idle in transaction%'
                AND CASE WHEN one.is_reader THEN one.transaction_age ELSE one.state_age END > idle_bound
                THEN format('left a transaction open for %s s', extract(epoch FROM one.transaction_age)::int)
            -- An honest batch takes seconds. A session can lift its own time limits, and be busy with
            -- locks in its hands for as long as it likes.
            WHEN NOT one.is_reader AND one.transaction_age > writer_bound
                THEN format('was in a transaction for %s s', extract(epoch FROM one.transaction_age)::int)
            -- What follows is about readers only.
            WHEN NOT one.is_reader THEN NULL
            WHEN one.holds_advisory THEN 'held an advisory lock'
            WHEN owns_temporary THEN 'had made a temporary table'
            WHEN one.transaction_age > statement_bound + idle_bound
                THEN format('was in a transaction for %s s', extract(epoch FROM one.transaction_age)::int)
            -- What a session has set for itself lives as long as the session. Between two statements
            -- nobody notices the end: a pool connects again.
            WHEN one.session_age > session_bound AND one.state = 'idle' THEN 'was older than a session may get'
            WHEN one.session_age > session_bound + statement_bound THEN 'was older than a session may get'
        END;
        IF reason IS NOT NULL THEN
            PERFORM pg_terminate_backend(one.pid);
            RETURN NEXT;
        ELSIF one.is_reader AND one.state IN ('active', 'fastpath function call')
            AND one.statement_age > statement_bound
        THEN
            reason := format('ran a statement for %s s', extract(epoch FROM one.statement_age)::int);
            -- A function can catch its cancellation; it is asked once.
            ended := one.statement_age > 2 * statement_bound;
            IF ended THEN
                PERFORM pg_terminate_backend(one.pid);
            ELSE
                PERFORM pg_cancel_backend(one.pid);
            END IF;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION celerytrail.watch_sessions(interval, interval, interval, interval) IS
    'Ends sessions of Grafana''s role, and long or idle transactions of sinks and the action API, beyond the bounds. Returns each, with the reason.';

CREATE FUNCTION celerytrail.remove_large_objects(at_most int4)
RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed int8;
BEGIN
    SELECT count(*)
    INTO removed
    FROM (
        SELECT m.oid
        FROM pg_largeobject_metadata m
        WHERE m.lomowner IN ('celerytrail_grafana'::regrole, 'celerytrail_sink'::regrole, 'celerytrail_actions'::regrole)
        LIMIT at_most
    ) AS owned
    WHERE lo_unlink(owned.oid) = 1;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION celerytrail.remove_large_objects(int4) IS
    'Removes large objects of the ledger''s roles, which have no use for any. Returns how many.';

CREATE FUNCTION celerytrail.hardening_gaps()
RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    this_database oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
    ours name[] := ARRAY(SELECT celerytrail_admin.login_roles()) || 'celerytrail_owner'::name;
BEGIN
    RETURN QUERY
    SELECT format('PUBLIC may %s in database %s', lower(x.privilege_type), current_database())
    FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS x
    WHERE d.oid = this_database AND x.grantee = 0 AND x.privilege_type IN ('TEMPORARY', 'CREATE');

    RETURN QUERY
    SELECT format('PUBLIC may create in schema %s', n.nspname)
    FROM pg_namespace n, aclexplode(n.nspacl) AS x
    WHERE x.grantee = 0 AND x.privilege_type = 'CREATE';

    RETURN QUERY
    SELECT format(
        'PUBLIC may execute %s (a superuser closes this: SELECT celerytrail_admin.harden_database())',
        string_agg(DISTINCT p.proname::text, ', ' ORDER BY p.proname::text)
    )
    FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS x
    WHERE p.oid IN (SELECT celerytrail_admin.withheld_functions()) AND x.grantee = 0
    HAVING count(*) > 0;

    RETURN QUERY
    SELECT format('PUBLIC may use language %s', l.lanname)
    FROM pg_language l, aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) AS x
    WHERE l.lanpltrusted AND l.lanname NOT IN ('sql', 'internal') AND x.grantee = 0;

    RETURN QUERY
    SELECT format('role %s is missing', o)
    FROM unnest(ours) AS o
    WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = o);

    RETURN QUERY
    SELECT format('role %s is %s', r.rolname, a.attribute)
    FROM pg_roles r
    CROSS JOIN LATERAL (VALUES
        ('superuser', r.rolsuper), ('createrole', r.rolcreaterole), ('createdb', r.rolcreatedb),
        ('replication', r.rolreplication), ('bypassrls', r.rolbypassrls),
        ('login', r.rolcanlogin AND r.rolname = 'celerytrail_owner'),
        ('without connection limit', r.rolconnlimit < 0 AND r.rolname = 'celerytrail_grafana')
    ) AS a (attribute, has)
    WHERE r.rolname = ANY (ours) AND a.has;

    RETURN QUERY
    SELECT format('role %s is a member of %s', m.member::regrole, m.roleid::regrole)
    FROM pg_auth_members m
    JOIN pg_roles r ON r.oid = m.member
    WHERE r.rolname IN (SELECT celerytrail_admin.login_roles());

    -- A prepared transaction keeps its locks when its session has ended.
    RETURN QUERY
    SELECT format('max_prepared_transactions is %s, it should be 0', current_setting('max_prepared_transactions'))
    WHERE current_setting('max_prepared_transactions')::int > 0;

    RETURN QUERY
    SELECT format('view %s has no security barrier', c.oid::regclass)
    FROM pg_class c
    WHERE c.relnamespace = 'celerytrail_views'::regnamespace AND c.relkind = 'v'
      AND NOT coalesce(c.reloptions, '{}') @> ARRAY['security_barrier=true']
      -- They show every row: see where they are made.
      AND c.relname NOT IN ('tasks', 'actions', 'task_actions');

    RETURN QUERY
    SELECT format('celerytrail_grafana may read %s', c.oid::regclass)
    FROM pg_class c
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND c.relnamespace NOT IN (
          'pg_catalog'::regnamespace, 'information_schema'::regnamespace,
          'celerytrail_views'::regnamespace
      )
      AND EXISTS (
          SELECT
          FROM aclexplode(c.relacl) AS x
          WHERE x.grantee IN (0, 'celerytrail_grafana'::regrole)
      );
END
$$;
COMMENT ON FUNCTION celerytrail.hardening_gaps() IS
    'What is not as docs/design/roles.md says, one line each; nothing when all is well.';

GRANT EXECUTE ON FUNCTION
    celerytrail.watch_sessions(interval, interval, interval, interval), celerytrail.remove_large_objects(int4)
TO celerytrail_maintainer;
GRANT EXECUTE ON FUNCTION celerytrail.hardening_gaps()
    TO celerytrail_maintainer, celerytrail_sink, celerytrail_verifier;
