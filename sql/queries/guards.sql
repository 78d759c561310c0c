-- name: wrong
-- Names each object of the ledger that is not as designed. Reads the catalog and the horizon, which the sink may.
WITH guarded AS (
    SELECT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relkind, c.relowner, c.relacl
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'celerytrail'
    WHERE c.relkind IN ('r', 'p')
), logins AS (
    SELECT r.oid, r.rolname
    FROM pg_catalog.pg_roles r
    WHERE r.rolname IN (
        'celerytrail_sink', 'celerytrail_actions', 'celerytrail_grafana', 'celerytrail_verifier',
        'celerytrail_maintainer', 'celerytrail_checkpointer'
    )
), kept AS (
    -- Whatever says what happened, what was erased, and what was dropped.
    SELECT g.oid, g.relname, g.relacl IS NOT NULL OR g.relname !~ '_([0-9]{8}|before_all|after_all)$' AS has_rights
    FROM guarded g
    WHERE g.relname ~ '^(spans|payloads|leaf_groups)(_.*)?$'
       OR g.relname IN (
           'blocks', 'chain', 'chain_head', 'actions', 'ledger', 'horizon', 'erased_tasks', 'erasures', 'day_drops'
       )
), designed (table_name, trigger_name, function_name, definition) AS (
    VALUES
        ('spans', 'begin_batch_1', 'require_principal', 'BEFORE INSERT STATEMENT'),
        ('spans', 'begin_batch_2', 'next_batch', 'BEFORE INSERT STATEMENT'),
        ('spans', 'own_deployment', 'require_deployment', 'AFTER INSERT STATEMENT'),
        ('spans', 'seal', 'seal_spans', 'AFTER INSERT STATEMENT'),
        ('spans', 'forbid_change', 'forbid', 'BEFORE DELETE UPDATE ROW'),
        ('spans', 'forbid_truncate', 'forbid', 'BEFORE TRUNCATE STATEMENT'),
        ('payloads', 'begin_batch_1', 'require_principal', 'BEFORE INSERT STATEMENT'),
        ('payloads', 'own_deployment', 'require_deployment', 'AFTER INSERT STATEMENT'),
        ('payloads', 'refuse_erased', 'refuse_erased', 'AFTER INSERT STATEMENT'),
        ('payloads', 'searchable_add', 'add_searchable', 'AFTER INSERT STATEMENT'),
        ('payloads', 'searchable_remove', 'remove_searchable', 'AFTER DELETE STATEMENT'),
        ('payloads', 'forbid_change', 'forbid', 'BEFORE UPDATE ROW'),
        ('payloads', 'forbid_truncate', 'forbid', 'BEFORE TRUNCATE STATEMENT'),
        ('leaf_groups', 'forbid_change', 'forbid', 'BEFORE DELETE UPDATE ROW'),
        ('leaf_groups', 'forbid_truncate', 'forbid', 'BEFORE TRUNCATE STATEMENT'),
        ('blocks', 'link', 'link_block', 'AFTER INSERT ROW'),
        ('blocks', 'forbid_change', 'forbid', 'BEFORE DELETE UPDATE ROW'),
        ('blocks', 'forbid_truncate', 'forbid', 'BEFORE TRUNCATE STATEMENT'),
        ('chain', 'forbid_change', 'forbid', 'BEFORE DELETE UPDATE ROW'),
        ('chain', 'forbid_truncate', 'forbid', 'BEFORE TRUNCATE STATEMENT'),
        ('chain_head', 'forbid_change', 'forbid', 'BEFORE DELETE ROW'),
        ('chain_head', 'forbid_truncate', 'forbid', 'BEFORE TRUNCATE STATEMENT'),
        ('ledger', 'forbid_change', 'forbid', 'BEFORE DELETE UPDATE ROW'),
        ('ledger', 'forbid_truncate', 'forbid', 'BEFORE TRUNCATE STATEMENT'),
        ('actions', 'begin_batch_2', 'next_batch', 'BEFORE INSERT STATEMENT'),
        ('actions', 'seal', 'seal_actions', 'AFTER INSERT STATEMENT'),
        ('actions', 'project', 'project_new_actions', 'AFTER INSERT STATEMENT'),
        ('actions', 'forbid_change', 'forbid', 'BEFORE DELETE UPDATE ROW'),
        ('actions', 'forbid_truncate', 'forbid', 'BEFORE TRUNCATE STATEMENT')
), present AS (
    SELECT
        g.oid, g.relname, t.tgname, t.tgenabled,
        coalesce(parent.relname, g.relname) AS designed_as,
        parent.oid IS NOT NULL AS is_partition,
        p.proname, pn.nspname, t.tgqual IS NOT NULL OR t.tgattr::text <> '' AS conditional,
        concat_ws(
            ' ',
            CASE WHEN t.tgtype & 2 > 0 THEN 'BEFORE' WHEN t.tgtype & 64 > 0 THEN 'INSTEAD' ELSE 'AFTER' END,
            CASE WHEN t.tgtype & 4 > 0 THEN 'INSERT' END,
            CASE WHEN t.tgtype & 8 > 0 THEN 'DELETE' END,
            CASE WHEN t.tgtype & 16 > 0 THEN 'UPDATE' END,
            CASE WHEN t.tgtype & 32 > 0 THEN 'TRUNCATE' END,
            CASE WHEN t.tgtype & 1 > 0 THEN 'ROW' ELSE 'STATEMENT' END
        ) AS definition
    FROM guarded g
    JOIN pg_catalog.pg_trigger t ON t.tgrelid = g.oid AND NOT t.tgisinternal
    JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace
    LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = g.oid
    LEFT JOIN pg_catalog.pg_class parent ON parent.oid = i.inhparent
)
SELECT format('trigger %s on celerytrail.%s', p.tgname, p.relname) AS wrong
FROM present p
WHERE p.designed_as IN (
    SELECT table_name FROM designed
    UNION ALL
    VALUES ('tasks'), ('runs'), ('run_ends'), ('groups'), ('streams'), ('workers'), ('tokens'), ('principals')
)
  AND NOT EXISTS (
    SELECT
    FROM designed d
    WHERE (d.table_name, d.trigger_name, d.function_name, d.definition)
        = (p.designed_as, p.tgname, p.proname, p.definition)
      AND p.nspname = 'celerytrail' AND p.tgenabled = 'A' AND NOT p.conditional
)
UNION ALL
SELECT format('missing trigger %s on celerytrail.%s', d.trigger_name, d.table_name)
FROM designed d
WHERE NOT EXISTS (
    SELECT FROM present p WHERE p.relname = d.table_name AND p.tgname = d.trigger_name
)
UNION ALL
SELECT format('rule %s on celerytrail.%s', r.rulename, g.relname)
FROM guarded g
JOIN pg_catalog.pg_rewrite r ON r.ev_class = g.oid
UNION ALL
SELECT format('row security on celerytrail.%s', g.relname)
FROM guarded g
WHERE g.relrowsecurity OR g.relforcerowsecurity
UNION ALL
SELECT format('policy %s on celerytrail.%s', p.polname, g.relname)
FROM guarded g
JOIN pg_catalog.pg_policy p ON p.polrelid = g.oid
UNION ALL
SELECT format('owner of celerytrail.%s is %s', g.relname, pg_catalog.pg_get_userbyid(g.relowner))
FROM guarded g
WHERE pg_catalog.pg_get_userbyid(g.relowner) <> 'celerytrail_owner'
UNION ALL
SELECT format('owner of schema celerytrail is %s', pg_catalog.pg_get_userbyid(n.nspowner))
FROM pg_catalog.pg_namespace n
WHERE n.nspname = 'celerytrail' AND pg_catalog.pg_get_userbyid(n.nspowner) <> 'celerytrail_owner'
UNION ALL
-- Rows of a table below one of ours are read, and may be written, by the name of ours.
SELECT format('table %s.%s below celerytrail.%s', n.nspname, child.relname, g.relname)
FROM guarded g
JOIN pg_catalog.pg_inherits i ON i.inhparent = g.oid
JOIN pg_catalog.pg_class child ON child.oid = i.inhrelid
JOIN pg_catalog.pg_namespace n ON n.oid = child.relnamespace
WHERE g.relname NOT IN ('spans', 'payloads', 'leaf_groups')
   OR child.oid NOT IN (SELECT oid FROM guarded)
   OR child.relname !~ ('^' || g.relname || '_([0-9]{8}|before_all|after_all)$')
UNION ALL
SELECT format('function celerytrail.%s', p.proname)
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'celerytrail'
WHERE p.proname IN (
    'authenticate', 'require_principal', 'next_batch', 'require_deployment', 'seal_spans',
    'seal_actions', 'link_block', 'append_action', 'ensure_partitions', 'stored_digests',
    'add_quarantine', 'refuse_erased', 'choose_chain', 'add_searchable', 'remove_searchable'
)
  AND (
      NOT p.prosecdef
      OR pg_catalog.pg_get_userbyid(p.proowner) <> 'celerytrail_owner'
      OR p.proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp']
      OR pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE')
  )
UNION ALL
SELECT format('role %s', r.rolname)
FROM pg_catalog.pg_roles r
WHERE r.rolname IN (
    'celerytrail_owner', 'celerytrail_sink', 'celerytrail_actions', 'celerytrail_grafana',
    'celerytrail_verifier', 'celerytrail_maintainer', 'celerytrail_checkpointer'
)
  AND (
      r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
      OR (r.rolname = 'celerytrail_owner' AND r.rolcanlogin)
  )
UNION ALL
SELECT format('right to %s celerytrail.%s of celerytrail_sink', privilege, g.relname)
FROM guarded g
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS privilege
WHERE g.relname ~ '^(spans|payloads|leaf_groups|blocks|chain|chain_head|actions|principals|tokens)(_.*)?$'
  AND pg_catalog.has_table_privilege('celerytrail_sink', g.oid, privilege)
UNION ALL
-- What nobody who logs in may, also not by being a member of something.
(
SELECT format('right to %s celerytrail.%s of %s', privilege, g.relname, r.rolname)
FROM kept g
CROSS JOIN logins r
CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS privilege
-- There are many partitions, and who has a right on one that grants none has it on all, so on their parent.
WHERE g.has_rights AND pg_catalog.has_table_privilege(r.oid, g.oid, privilege)
  -- Said above.
  AND NOT (
      r.rolname = 'celerytrail_sink'
      AND g.relname ~ '^(spans|payloads|leaf_groups|blocks|chain|chain_head|actions)(_.*)?$'
  )
UNION
SELECT format('right to %s celerytrail.%s of %s', privilege, g.relname, r.rolname)
FROM kept g
-- Few columns have rights of their own.
JOIN pg_catalog.pg_attribute a ON a.attrelid = g.oid AND a.attnum > 0 AND a.attacl IS NOT NULL
CROSS JOIN logins r
CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE']) AS privilege
WHERE pg_catalog.has_column_privilege(r.oid, g.oid, a.attnum, privilege)
  AND NOT pg_catalog.has_table_privilege(r.oid, g.oid, privilege)
  -- The sink inserts into these two by the columns that are its own.
  AND NOT (privilege = 'INSERT' AND r.rolname = 'celerytrail_sink' AND g.relname IN ('spans', 'payloads'))
)
UNION ALL
SELECT format('right to read celerytrail.payloads.%s of %s', a.attname, r.rolname)
FROM guarded g
JOIN pg_catalog.pg_attribute a ON a.attrelid = g.oid AND a.attname IN ('body', 'salt')
CROSS JOIN logins r
WHERE g.relname = 'payloads' AND pg_catalog.has_column_privilege(r.oid, g.oid, a.attnum, 'SELECT')
  AND NOT (r.rolname = 'celerytrail_sink' AND pg_catalog.has_table_privilege(r.oid, g.oid, 'SELECT'))
UNION ALL
SELECT format('right to %s celerytrail.%s of celerytrail_sink', privilege, q.relname)
FROM pg_catalog.pg_class q
JOIN pg_catalog.pg_namespace n ON n.oid = q.relnamespace AND n.nspname = 'celerytrail'
CROSS JOIN unnest(ARRAY['USAGE', 'UPDATE']) AS privilege
-- A CASE, because of a table the function raises, and conditions beside each other have no order.
WHERE CASE WHEN q.relkind = 'S' THEN pg_catalog.has_sequence_privilege('celerytrail_sink', q.oid, privilege) END
UNION ALL
SELECT format('right to create in schema celerytrail of %s', r.rolname)
FROM pg_catalog.pg_namespace n
JOIN pg_catalog.pg_roles r ON r.rolname LIKE 'celerytrail\_%' AND r.rolname <> 'celerytrail_owner'
WHERE n.nspname = 'celerytrail' AND pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE')
UNION ALL
SELECT format('right to choose celerytrail.%s.%s of celerytrail_sink', g.relname, a.attname)
FROM guarded g
JOIN pg_catalog.pg_attribute a ON a.attrelid = g.oid
WHERE g.relname IN ('spans', 'payloads')
  AND a.attname IN ('received_at', 'principal_id', 'batch_id')
  AND pg_catalog.has_column_privilege('celerytrail_sink', g.oid, a.attnum, 'INSERT')
UNION ALL
-- Everything would be refused as too old, which senders take for done.
SELECT 'horizon in celerytrail.horizon is later than today'
FROM celerytrail.horizon h
WHERE h.retained_from > (pg_catalog.clock_timestamp() AT TIME ZONE 'UTC')::date
UNION ALL
SELECT 'missing horizon in celerytrail.horizon'
WHERE NOT EXISTS (SELECT FROM celerytrail.horizon)
ORDER BY 1;

-- name: rights
-- What a role of the ledger may outside of its schemas and has no use for, and programs there that run with more rights
-- than their caller's. Any role may look.
WITH logins AS (
    SELECT r.oid, r.rolname
    FROM pg_catalog.pg_roles r
    WHERE r.rolname IN (
        'celerytrail_sink', 'celerytrail_actions', 'celerytrail_grafana', 'celerytrail_verifier',
        'celerytrail_maintainer', 'celerytrail_checkpointer'
    )
), elsewhere AS (
    SELECT p.*
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname !~ '^celerytrail(_|$)'
)
SELECT format('database %s belongs to %s', d.datname, r.rolname) AS found
FROM pg_catalog.pg_database d
JOIN pg_catalog.pg_roles r ON r.oid = d.datdba
WHERE d.datname = current_database() AND r.rolname LIKE 'celerytrail\_%'
UNION ALL
SELECT format('%s may %s in database %s', o.rolname, lower(x.privilege_type), d.datname)
FROM pg_catalog.pg_database d
CROSS JOIN LATERAL pg_catalog.aclexplode(d.datacl) AS x
JOIN logins o ON o.oid = x.grantee
WHERE d.datname = current_database() AND x.privilege_type <> 'CONNECT'
  AND (x.privilege_type, o.rolname) <> ('TEMPORARY', 'celerytrail_sink')
UNION ALL
SELECT format('%s may execute %s', o.rolname, p.oid::regprocedure)
FROM elsewhere p
CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) AS x
JOIN logins o ON o.oid = x.grantee
UNION ALL
-- What nobody may in a fresh server.
SELECT format('PUBLIC may execute %s', p.oid::regprocedure)
FROM elsewhere p
JOIN pg_catalog.pg_init_privs i ON i.objoid = p.oid AND i.classoid = 'pg_catalog.pg_proc'::regclass
WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(p.proacl) AS x WHERE x.grantee = 0)
  AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(i.initprivs) AS x WHERE x.grantee = 0)
UNION ALL
SELECT format('%s may %s parameter %s', coalesce(o.rolname, 'PUBLIC'), lower(x.privilege_type), a.parname)
FROM pg_catalog.pg_parameter_acl a
CROSS JOIN LATERAL pg_catalog.aclexplode(a.paracl) AS x
LEFT JOIN logins o ON o.oid = x.grantee
WHERE o.oid IS NOT NULL OR x.grantee = 0
UNION ALL
SELECT format('%s may use language %s', o.rolname, l.lanname)
FROM pg_catalog.pg_language l
CROSS JOIN LATERAL pg_catalog.aclexplode(l.lanacl) AS x
JOIN logins o ON o.oid = x.grantee
UNION ALL
SELECT format(
    '%s may execute %s, which acts as %s', string_agg(o.rolname, ', ' ORDER BY o.rolname), p.oid::regprocedure,
    pg_catalog.pg_get_userbyid(p.proowner)
)
FROM elsewhere p
JOIN pg_catalog.pg_roles w ON w.oid = p.proowner
JOIN logins o ON pg_catalog.has_function_privilege(o.oid, p.oid, 'EXECUTE')
    AND pg_catalog.has_schema_privilege(o.oid, p.pronamespace, 'USAGE')
WHERE p.prosecdef AND (w.rolsuper OR pg_catalog.pg_has_role(w.oid, 'celerytrail_owner', 'MEMBER'))
  AND NOT EXISTS (
      SELECT
      FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  )
GROUP BY p.oid, p.proowner
UNION ALL
-- With the rights of the ledger's owner, when one of its functions makes or drops a partition.
SELECT format('event trigger %s runs %s when the ledger makes or drops a partition', e.evtname, e.evtfoid::regprocedure)
FROM pg_catalog.pg_event_trigger e
WHERE e.evtenabled <> 'D'
ORDER BY 1;
