-- Bounds Grafana's role, and keeps what each role's settings and password should be, so that they can be restored.
-- Safe: settings of roles only; sessions that are open keep theirs until they end.

-- The function that restores settings and passwords acts with the rights of whoever migrates, who
-- alone can write what it reads.
CREATE TABLE celerytrail_admin.role_settings (
    role_name name NOT NULL CHECK (role_name LIKE 'celerytrail\_%'),
    setting text NOT NULL CHECK (setting ~ '^[a-z_]+$'),
    value text NOT NULL,
    PRIMARY KEY (role_name, setting)
);
COMMENT ON TABLE celerytrail_admin.role_settings IS
    'The settings that each role starts its sessions with. A role can change its own; `celerytrail maintain` changes them back. Edit this table to change them for good.';
REVOKE ALL ON celerytrail_admin.role_settings FROM PUBLIC;
GRANT SELECT ON celerytrail_admin.role_settings TO celerytrail_owner;

INSERT INTO celerytrail_admin.role_settings (role_name, setting, value)
SELECT 'celerytrail_grafana', s.setting, s.value
FROM (VALUES
    ('default_transaction_read_only', 'on', false),
    ('statement_timeout', '15s', false),
    ('lock_timeout', '5s', false),
    ('idle_in_transaction_session_timeout', '10s', false),
    ('work_mem', '16MB', false),
    -- Compiling a dashboard's query takes longer than running it.
    ('jit', 'off', false),
    -- Only a superuser may set this one, so a session cannot raise it either.
    ('temp_file_limit', '1GB', true)
) AS s (setting, value, needs_superuser)
WHERE NOT s.needs_superuser
   OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user);

CREATE TABLE celerytrail_admin.role_logins (
    role_name name PRIMARY KEY CHECK (role_name LIKE 'celerytrail\_%'),
    verifier text NOT NULL CHECK (verifier LIKE 'SCRAM-SHA-256$%'),
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    set_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE celerytrail_admin.role_logins IS
    'The SCRAM verifier of each role whose password was set by `celerytrail maintain --set-passwords`, and of Grafana''s as first seen. Never a password.';
REVOKE ALL ON celerytrail_admin.role_logins FROM PUBLIC;

CREATE FUNCTION celerytrail_admin.login_roles()
RETURNS SETOF name
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('celerytrail_sink'::name), ('celerytrail_actions'), ('celerytrail_grafana'),
        ('celerytrail_verifier'), ('celerytrail_maintainer')
$$;
COMMENT ON FUNCTION celerytrail_admin.login_roles() IS 'The roles of the ledger that log in.';

-- With the caller's rights: whoever may change the role's password may call it.
CREATE FUNCTION celerytrail_admin.set_role_password(role_name name, verifier text)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM celerytrail_admin.login_roles() AS r WHERE r = set_role_password.role_name
    ) THEN
        RAISE EXCEPTION 'celerytrail: % is no role of the ledger that logs in', role_name;
    END IF;
    INSERT INTO celerytrail_admin.role_logins AS l (role_name, verifier)
    VALUES (set_role_password.role_name, set_role_password.verifier)
    ON CONFLICT ON CONSTRAINT role_logins_pkey
        DO UPDATE SET verifier = excluded.verifier, set_at = clock_timestamp(), set_by = session_user;
    EXECUTE format('ALTER ROLE %I PASSWORD %L', role_name, verifier);
END
$$;
COMMENT ON FUNCTION celerytrail_admin.set_role_password(name, text) IS
    'Sets a role''s password, given as a SCRAM verifier, and remembers it. For an administrator.';

-- Takes no argument and reads only tables that its owner alone can write.
CREATE FUNCTION celerytrail_admin.restore_roles()
RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role_id oid;
    login name;
    wanted text[];
    found_settings text[];
    one record;
    can_read_passwords bool := has_table_privilege(current_user, 'pg_catalog.pg_authid', 'SELECT');
    changed bool;
BEGIN
    FOR login, role_id IN
        SELECT r.rolname, r.oid FROM pg_roles r WHERE r.rolname IN (SELECT celerytrail_admin.login_roles())
    LOOP
        SELECT coalesce(array_agg(s.setting || '=' || s.value ORDER BY s.setting), '{}')
        INTO wanted
        FROM celerytrail_admin.role_settings s
        WHERE s.role_name = login;
        SELECT coalesce(array_agg(c ORDER BY split_part(c, '=', 1)), '{}')
        INTO found_settings
        FROM pg_db_role_setting d, unnest(d.setconfig) AS c
        WHERE d.setrole = role_id AND d.setdatabase = 0;
        IF found_settings <> wanted THEN
            EXECUTE format('ALTER ROLE %I RESET ALL', login);
            FOR one IN
                SELECT s.setting, s.value FROM celerytrail_admin.role_settings s WHERE s.role_name = login
            LOOP
                EXECUTE format('ALTER ROLE %I SET %I = %L', login, one.setting, one.value);
            END LOOP;
            RETURN NEXT format('settings of %s', login);
        END IF;

        IF EXISTS (
            SELECT
            FROM pg_db_role_setting d
            JOIN pg_database b ON b.oid = d.setdatabase
            WHERE d.setrole = role_id AND b.datname = current_database()
        ) THEN
            EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', login, current_database());
            RETURN NEXT format('settings of %s in this database', login);
        END IF;

        -- Viewers speak as this role, so its password is held to what it was when it was first seen.
        IF login = 'celerytrail_grafana' AND can_read_passwords THEN
            EXECUTE $sql$
                INSERT INTO celerytrail_admin.role_logins (role_name, verifier, set_by)
                SELECT a.rolname, a.rolpassword, 'first seen'
                FROM pg_catalog.pg_authid a
                WHERE a.oid = $1 AND a.rolpassword LIKE 'SCRAM-SHA-256$%'
                ON CONFLICT DO NOTHING
            $sql$ USING role_id;
        END IF;
        FOR one IN SELECT l.verifier FROM celerytrail_admin.role_logins l WHERE l.role_name = login LOOP
            changed := true;
            IF can_read_passwords THEN
                EXECUTE 'SELECT a.rolpassword IS DISTINCT FROM $1 FROM pg_catalog.pg_authid a WHERE a.oid = $2'
                INTO changed
                USING one.verifier, role_id;
            END IF;
            IF changed THEN
                EXECUTE format('ALTER ROLE %I PASSWORD %L', login, one.verifier);
                -- Somebody who may not read passwords cannot tell whether this one had changed.
                IF can_read_passwords THEN
                    RETURN NEXT format('password of %s', login);
                END IF;
            END IF;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION celerytrail_admin.restore_roles() IS
    'Puts back the settings and passwords that a role changed of itself. Returns what it put back.';

REVOKE ALL ON FUNCTION
    celerytrail_admin.login_roles(), celerytrail_admin.set_role_password(name, text), celerytrail_admin.restore_roles()
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION celerytrail_admin.login_roles() TO celerytrail_owner;
GRANT EXECUTE ON FUNCTION celerytrail_admin.restore_roles() TO celerytrail_maintainer;

-- A role cannot change this of itself.
ALTER ROLE celerytrail_grafana CONNECTION LIMIT 30;
SELECT celerytrail_admin.restore_roles();
