-- Takes from PUBLIC what a role that may only read could misuse: temporary tables, large objects, locks, sleeps, signals.
-- Safe: nothing here is used as PUBLIC by the ledger; what its owner needs is granted to the owner alone.

-- What concerns the cluster more than the ledger: it belongs to whoever migrates, not to the owner of
-- the ledger, so that no function of the ledger reaches it.
CREATE SCHEMA celerytrail_admin;
REVOKE ALL ON SCHEMA celerytrail_admin FROM PUBLIC;
GRANT USAGE ON SCHEMA celerytrail_admin TO celerytrail_owner, celerytrail_maintainer;

-- Run with the caller's rights: only a superuser may change what Postgres ships. Repeatable: run it
-- again after a restore, which does not bring back the rights of a database.
CREATE FUNCTION celerytrail_admin.withheld_functions()
RETURNS SETOF oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.oid
    FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND (
          -- Large objects: storage without a bound, and without a table to take the right from.
          p.proname ~ '^(lo_.+|loread|lowrite)$'
          -- A lock that nobody else's statement would explain.
          OR p.proname ~ '^pg_(try_)?advisory_'
          -- Sessions held open at no cost.
          OR p.proname ~ '^pg_sleep'
          -- The role's other sessions: ended, or their statements read, which are other people's.
          OR p.proname IN (
              'pg_cancel_backend', 'pg_terminate_backend', 'pg_stat_get_activity',
              'pg_stat_get_backend_activity'
          )
          -- Writes outside of any table: the queue of notifications, the write-ahead log, settings.
          OR p.proname IN ('pg_notify', 'pg_logical_emit_message', 'set_config')
      )
    UNION
    -- A way to other servers, and back into this one as somebody else.
    SELECT p.oid
    FROM pg_proc p
    JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    WHERE e.extname = 'dblink'
$$;
COMMENT ON FUNCTION celerytrail_admin.withheld_functions() IS
    'The functions that PUBLIC may execute in a fresh database and must not in the ledger''s.';

CREATE FUNCTION celerytrail_admin.harden_database()
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    function_id oid;
BEGIN
    EXECUTE format(
        'REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', current_database()
    );
    -- The staging table of the sink is a temporary one.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO celerytrail_sink', current_database());
    IF to_regnamespace('public') IS NOT NULL THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    END IF;
    IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE NOTICE 'celerytrail: % is no superuser, so functions of Postgres stay executable by PUBLIC. '
            'The maintainer undoes what it can; to close them, run SELECT celerytrail_admin.harden_database() '
            'as a superuser.', current_user;
        RETURN;
    END IF;
    FOR function_id IN SELECT w FROM celerytrail_admin.withheld_functions() AS w LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', function_id::regprocedure);
        -- Nobody can log in as the owner; its functions are what the maintainer watches with.
        EXECUTE format(
            'GRANT EXECUTE ON FUNCTION %s TO celerytrail_owner', function_id::regprocedure
        );
    END LOOP;
    -- What backups and monitoring use: pg_dump sets its search path by function, monitors read activity.
    GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO pg_read_all_data;
    GRANT EXECUTE ON FUNCTION pg_stat_get_activity(int4) TO pg_read_all_stats;
    -- DO runs any program, and one that catches its own cancellation.
    REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
    GRANT USAGE ON LANGUAGE plpgsql TO celerytrail_owner;
END
$$;
COMMENT ON FUNCTION celerytrail_admin.harden_database() IS
    'Takes from PUBLIC what docs/design/roles.md lists. Repeatable. All of it needs a superuser.';

REVOKE ALL ON FUNCTION celerytrail_admin.harden_database(), celerytrail_admin.withheld_functions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION celerytrail_admin.withheld_functions() TO celerytrail_owner;

SELECT celerytrail_admin.harden_database();
