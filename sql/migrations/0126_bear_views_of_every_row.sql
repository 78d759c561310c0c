-- Lets the look for gaps pass over the two new views that show every row of their table.
-- Safe: one function is replaced, by itself with two more names.

SET LOCAL ROLE celerytrail_owner;

CREATE OR REPLACE FUNCTION celerytrail.hardening_gaps()
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
      AND c.relname NOT IN ('tasks', 'actions', 'task_actions', 'failures', 'searchable');

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
