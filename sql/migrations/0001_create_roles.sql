-- Creates the roles and hands the schema to the owner, who cannot log in.
-- Safe: roles are cluster wide and may exist already; an existing one is left as it is.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[
        'celerytrail_owner', 'celerytrail_sink', 'celerytrail_actions', 'celerytrail_grafana',
        'celerytrail_verifier', 'celerytrail_maintainer'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format(
                    'CREATE ROLE %I %s NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS',
                    role_name,
                    CASE role_name WHEN 'celerytrail_owner' THEN 'NOLOGIN' ELSE 'LOGIN' END
                );
            EXCEPTION
                -- Somebody migrates another database of this cluster at the same moment.
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
    END LOOP;

    -- Managed servers give an administrator who is no superuser: he must be able to become the owner.
    IF NOT pg_catalog.pg_has_role(current_user, 'celerytrail_owner', 'USAGE') THEN
        EXECUTE format('GRANT celerytrail_owner TO %I', current_user);
    END IF;
    EXECUTE format(
        'GRANT CREATE, TEMPORARY ON DATABASE %I TO celerytrail_owner',
        pg_catalog.current_database()
    );
    -- The sink's staging table is a temporary one.
    EXECUTE format(
        'GRANT CONNECT, TEMPORARY ON DATABASE %I TO celerytrail_sink',
        pg_catalog.current_database()
    );
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO celerytrail_actions, celerytrail_grafana, celerytrail_verifier, celerytrail_maintainer',
        pg_catalog.current_database()
    );
END
$$;

ALTER SCHEMA celerytrail OWNER TO celerytrail_owner;
ALTER TABLE celerytrail.migrations OWNER TO celerytrail_owner;

SET LOCAL ROLE celerytrail_owner;

-- What an owner creates is executable by everybody unless this is said before.
ALTER DEFAULT PRIVILEGES FOR ROLE celerytrail_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

REVOKE ALL ON SCHEMA celerytrail FROM PUBLIC;
GRANT USAGE ON SCHEMA celerytrail
    TO celerytrail_sink, celerytrail_actions, celerytrail_verifier, celerytrail_maintainer;

CREATE SCHEMA celerytrail_views;
REVOKE ALL ON SCHEMA celerytrail_views FROM PUBLIC;
GRANT USAGE ON SCHEMA celerytrail_views
    TO celerytrail_grafana, celerytrail_verifier, celerytrail_maintainer;

REVOKE ALL ON celerytrail.migrations FROM PUBLIC;
GRANT SELECT ON celerytrail.migrations
    TO celerytrail_sink, celerytrail_actions, celerytrail_verifier, celerytrail_maintainer;
