-- name: wrong
-- Names each object of the ledger that is not as designed. Reads the catalog and the horizon, which the sink may.
WITH guarded AS (
    SELECT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relkind, c.relowner
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'celerytrail'
    WHERE c.relkind IN ('r', 'p')
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
  AND (
      g.relname IN (SELECT table_name FROM designed)
      OR g.oid IN (
          SELECT i.inhrelid
          FROM pg_catalog.pg_inherits i
          JOIN pg_catalog.pg_class parent ON parent.oid = i.inhparent
          WHERE parent.relname IN ('spans', 'payloads', 'leaf_groups')
      )
  )
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
