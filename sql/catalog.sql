-- Everything in the catalog that decides what the ledger's guards do: one row an object, as (name, day of the
-- partition it belongs to, name without that day, definition without that day).
-- Run with search_path = pg_catalog, TimeZone = UTC, DateStyle = ISO, so that the texts are the same everywhere.
-- Days in the names and bounds of partitions are written <day> and <next>; an owner that is who migrated, <migrator>.
WITH RECURSIVE
who AS (
    SELECT coalesce(
        (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'celerytrail_admin'), 0
    ) AS migrator
),
roles AS (
    SELECT
        r.oid,
        CASE WHEN r.oid = (SELECT w.migrator FROM who w) THEN '<migrator>' ELSE r.rolname::text END AS name
    FROM pg_roles r
    UNION ALL
    SELECT 0, 'PUBLIC'
),
schemas AS (
    SELECT n.oid, n.nspname::text AS name, n.nspowner, n.nspacl
    FROM pg_namespace n
    WHERE n.nspname ~ '^celerytrail(_|$)'
),
-- A partition may lie in any schema: its rows are read and written by the name of its parent all the same.
kin AS (
    SELECT c.oid
    FROM pg_class c
    JOIN schemas s ON s.oid = c.relnamespace
    UNION
    SELECT i.inhrelid
    FROM pg_inherits i
    JOIN kin k ON k.oid = i.inhparent
),
relations AS (
    SELECT
        c.oid,
        c.relowner,
        n.nspname || '.' || c.relname AS name,
        -- Which day a partition says it is of; NULL for every other relation.
        CASE WHEN c.relname ~ '^(spans|leaf_groups|payloads)_[0-9]{8}$'
            THEN to_date(right(c.relname, 8), 'YYYYMMDD') END AS day,
        c.relispartition AS is_partition,
        c.relkind
    FROM pg_class c
    JOIN kin k ON k.oid = c.oid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind NOT IN ('i', 'I', 't')
),
-- A right is written grantee:PRIVILEGE, with * where it may be passed on. What an owner has of its own is not listed.
rights AS (
    SELECT 'relation' AS kind, c.oid, 0 AS part, acl.*, c.relowner AS owner
    FROM pg_class c
    JOIN relations r ON r.oid = c.oid
    CROSS JOIN LATERAL aclexplode(
        coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
    ) AS acl
    UNION ALL
    SELECT 'column', a.attrelid, a.attnum, acl.*, r.relowner
    FROM pg_attribute a
    JOIN relations r ON r.oid = a.attrelid
    CROSS JOIN LATERAL aclexplode(a.attacl) AS acl
    UNION ALL
    SELECT 'function', p.oid, 0, acl.*, p.proowner
    FROM pg_proc p
    JOIN schemas s ON s.oid = p.pronamespace
    CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS acl
    UNION ALL
    SELECT 'schema', s.oid, 0, acl.*, s.nspowner
    FROM schemas s
    CROSS JOIN LATERAL aclexplode(coalesce(s.nspacl, acldefault('n', s.nspowner))) AS acl
),
granted AS (
    SELECT
        g.kind,
        g.oid,
        g.part,
        string_agg(
            r.name || ':' || g.privilege_type || CASE WHEN g.is_grantable THEN '*' ELSE '' END,
            ' ' ORDER BY r.name COLLATE "C", g.privilege_type COLLATE "C"
        ) AS rights
    FROM rights g
    JOIN roles r ON r.oid = g.grantee
    WHERE g.grantee <> g.owner
    GROUP BY g.kind, g.oid, g.part
),
columns AS (
    SELECT
        r.oid,
        r.name,
        r.day,
        r.is_partition,
        a.attnum,
        a.attname::text AS attname,
        concat_ws(
            ' ',
            format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'NOT NULL' END,
            'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid),
            'IDENTITY ' || nullif(a.attidentity::text, ''),
            'GENERATED ' || nullif(a.attgenerated::text, ''),
            'STORAGE ' || a.attstorage::text,
            -- NULL says from 17 on what -1 said before: the server's own choice.
            'STATISTICS ' || nullif(a.attstattarget::int4, -1)::text,
            'COLLATE ' || nullif(a.attcollation::regcollation::text, '-'),
            '[' || g.rights || ']'
        ) AS definition
    FROM pg_attribute a
    JOIN relations r ON r.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN granted g ON g.kind = 'column' AND g.oid = a.attrelid AND g.part = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND r.relkind IN ('r', 'p', 'v', 'm', 'f')
),
objects AS (
    SELECT
        'schema ' || s.name AS name,
        NULL::date AS day,
        concat_ws(' ', 'owner ' || o.name, '[' || g.rights || ']') AS definition
    FROM schemas s
    JOIN roles o ON o.oid = s.nspowner
    LEFT JOIN granted g ON g.kind = 'schema' AND g.oid = s.oid

    UNION ALL
    SELECT
        CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'S' THEN 'sequence ' ELSE 'table ' END || r.name,
        r.day,
        concat_ws(
            ' ',
            'kind ' || c.relkind::text || c.relpersistence::text,
            'owner ' || o.name,
            CASE WHEN c.relrowsecurity THEN 'ROW SECURITY' END,
            CASE WHEN c.relforcerowsecurity THEN 'FORCED' END,
            'OF ' || (
                SELECT string_agg(i.inhparent::regclass::text, ',') FROM pg_inherits i WHERE i.inhrelid = c.oid
            ),
            pg_get_expr(c.relpartbound, c.oid),
            pg_get_partkeydef(c.oid),
            'AM ' || (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam AND c.relkind <> 'v'),
            'OPTIONS ' || array_to_string(c.reloptions, ','),
            (
                SELECT format(
                    'TYPE %s START %s BY %s FROM %s TO %s CACHE %s CYCLE %s', q.seqtypid::regtype,
                    q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle
                )
                FROM pg_sequence q
                WHERE q.seqrelid = c.oid
            ),
            '[' || g.rights || ']',
            CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END
        )
    FROM relations r
    JOIN pg_class c ON c.oid = r.oid
    JOIN roles o ON o.oid = c.relowner
    LEFT JOIN granted g ON g.kind = 'relation' AND g.oid = c.oid

    UNION ALL
    SELECT 'column ' || c.name || '.' || c.attname, NULL, c.definition
    FROM columns c
    WHERE NOT c.is_partition AND c.day IS NULL
    UNION ALL
    -- As one object, for there are many partitions.
    SELECT
        'columns of ' || c.name,
        c.day,
        string_agg(c.attname || ' ' || c.definition, ', ' ORDER BY c.attnum)
    FROM columns c
    WHERE c.is_partition OR c.day IS NOT NULL
    GROUP BY c.name, c.day

    UNION ALL
    SELECT
        'constraint ' || r.name || '.' || k.conname,
        r.day,
        concat_ws(
            ' ',
            pg_get_constraintdef(k.oid),
            CASE WHEN NOT k.convalidated THEN 'NOT VALIDATED' END,
            -- The triggers that enforce a foreign key can be switched off too.
            (
                SELECT 'BY ' || string_agg(
                    t.tgfoid::regproc::text || ':' || t.tgenabled::text, ',' ORDER BY t.tgfoid::regproc::text COLLATE "C"
                )
                FROM pg_trigger t
                WHERE t.tgconstraint = k.oid AND t.tgisinternal
            )
        )
    FROM pg_constraint k
    JOIN relations r ON r.oid = k.conrelid
    WHERE k.contype NOT IN ('n', 't')

    UNION ALL
    SELECT
        'index ' || n.nspname || '.' || i.relname,
        r.day,
        concat_ws(' ', pg_get_indexdef(x.indexrelid), CASE WHEN NOT x.indisvalid THEN 'INVALID' END)
    FROM pg_index x
    JOIN relations r ON r.oid = x.indrelid
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_namespace n ON n.oid = i.relnamespace

    UNION ALL
    -- Values of several columns, kept beside the rows.
    SELECT 'statistics ' || n.nspname || '.' || x.stxname, r.day, pg_get_statisticsobjdef(x.oid)
    FROM pg_statistic_ext x
    JOIN relations r ON r.oid = x.stxrelid
    JOIN pg_namespace n ON n.oid = x.stxnamespace

    UNION ALL
    SELECT
        'trigger ' || t.tgname || ' on ' || r.name,
        r.day,
        'enabled ' || t.tgenabled::text || ' ' || pg_get_triggerdef(t.oid)
    FROM pg_trigger t
    JOIN relations r ON r.oid = t.tgrelid
    WHERE NOT t.tgisinternal

    UNION ALL
    SELECT
        'rule ' || w.rulename || ' on ' || r.name,
        r.day,
        'enabled ' || w.ev_enabled::text || ' ' || pg_get_ruledef(w.oid)
    FROM pg_rewrite w
    JOIN relations r ON r.oid = w.ev_class
    -- What makes a view is in its definition; a table that has it answers with something else than its rows.
    WHERE NOT (w.rulename = '_RETURN' AND w.ev_enabled = 'O' AND r.relkind = 'v')

    UNION ALL
    SELECT
        'policy ' || p.polname || ' on ' || r.name,
        r.day,
        concat_ws(
            ' ', p.polcmd::text, CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
            'USING ' || pg_get_expr(p.polqual, p.polrelid),
            'CHECK ' || pg_get_expr(p.polwithcheck, p.polrelid)
        )
    FROM pg_policy p
    JOIN relations r ON r.oid = p.polrelid

    UNION ALL
    SELECT
        'function ' || s.name || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
        NULL,
        concat_ws(
            ' ',
            'owner ' || o.name,
            'kind ' || p.prokind::text || p.provolatile::text || p.proparallel::text,
            CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' END,
            CASE WHEN p.proisstrict THEN 'STRICT' END,
            CASE WHEN p.proleakproof THEN 'LEAKPROOF' END,
            'SET ' || array_to_string(p.proconfig, ';'),
            '(' || pg_get_function_arguments(p.oid) || ')',
            'RETURNS ' || pg_get_function_result(p.oid),
            l.lanname,
            '[' || g.rights || ']',
            p.prosrc,
            pg_get_function_sqlbody(p.oid)
        )
    FROM pg_proc p
    JOIN schemas s ON s.oid = p.pronamespace
    JOIN roles o ON o.oid = p.proowner
    JOIN pg_language l ON l.oid = p.prolang
    LEFT JOIN granted g ON g.kind = 'function' AND g.oid = p.oid

    UNION ALL
    SELECT
        'role ' || r.rolname,
        NULL,
        concat_ws(
            ' ',
            CASE WHEN r.rolcanlogin THEN 'LOGIN' END,
            CASE WHEN r.rolsuper THEN 'SUPERUSER' END,
            CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
            CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
            CASE WHEN r.rolreplication THEN 'REPLICATION' END,
            CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
            'LIMIT ' || nullif(r.rolconnlimit, -1),
            'SET ' || (
                SELECT string_agg(one, ';' ORDER BY one COLLATE "C")
                FROM pg_db_role_setting d, unnest(d.setconfig) AS one
                WHERE d.setrole = r.oid
                  AND d.setdatabase IN (
                      0, (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
                  )
            ),
            -- From 16 on, who creates a role gets the right to grant it and nothing else of it: no membership.
            'MEMBERS ' || (
                SELECT string_agg(m.name, ',' ORDER BY m.name COLLATE "C")
                FROM pg_auth_members a
                JOIN roles m ON m.oid = a.member
                WHERE a.roleid = r.oid
                  AND m.name <> '<migrator>'
            ),
            'MEMBER OF ' || (
                SELECT string_agg(m.name, ',' ORDER BY m.name COLLATE "C")
                FROM pg_auth_members a
                JOIN roles m ON m.oid = a.roleid
                WHERE a.member = r.oid
            )
        )
    FROM pg_roles r
    WHERE r.rolname LIKE 'celerytrail\_%'

    UNION ALL
    SELECT
        'default privileges of ' || o.name || ' on ' || d.defaclobjtype::text || coalesce(' in ' || n.nspname, ''),
        NULL,
        coalesce(
            (
                SELECT string_agg(
                    coalesce(g.name, '') || ':' || acl.privilege_type, ' '
                    ORDER BY g.name COLLATE "C", acl.privilege_type COLLATE "C"
                )
                FROM aclexplode(d.defaclacl) AS acl
                JOIN roles g ON g.oid = acl.grantee
                WHERE acl.grantee <> d.defaclrole
            ),
            'none'
        )
    FROM pg_default_acl d
    JOIN roles o ON o.oid = d.defaclrole
    LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
    WHERE o.name LIKE 'celerytrail\_%' OR n.nspname LIKE 'celerytrail%'

    UNION ALL
    -- The functions of Postgres that the hashes rest on are C code of the server, not somebody's.
    SELECT
        'function pg_catalog.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')',
        NULL,
        l.lanname || ' ' || p.prosrc
    FROM pg_proc p
    JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND p.proname IN (
          'sha256', 'record_send', 'int2send', 'int4send', 'int8send', 'uuid_send', 'date_send',
          'timestamptz_send', 'convert_to', 'octet_length', 'byteacat', 'nextval', 'currval',
          'pg_client_encoding', 'clock_timestamp', 'string_agg'
      )

    UNION ALL
    -- Whatever was added to pg_catalog is found before anything else by its name.
    SELECT
        'function pg_catalog.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')',
        NULL,
        'added to pg_catalog'
    FROM pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND p.oid >= 16384
      AND NOT EXISTS (
          SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      )
    UNION ALL
    SELECT 'operator pg_catalog.' || (p.oid::regoperator)::text, NULL, 'added to pg_catalog'
    FROM pg_operator p
    WHERE p.oprnamespace = 'pg_catalog'::regnamespace
      AND p.oid >= 16384
      AND NOT EXISTS (
          SELECT FROM pg_depend d WHERE d.classid = 'pg_operator'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      )
)
SELECT
    o.name,
    o.day::text,
    CASE WHEN o.day IS NULL THEN o.name
        ELSE replace(o.name, to_char(o.day, '_YYYYMMDD'), '_<day>') END AS general_name,
    CASE WHEN o.day IS NULL THEN o.definition
        ELSE replace(
            replace(
                replace(o.definition, to_char(o.day, '_YYYYMMDD'), '_<day>'),
                to_char(o.day, 'YYYY-MM-DD'), '<day>'
            ),
            to_char(o.day + 1, 'YYYY-MM-DD'), '<next>'
        ) END AS definition
FROM objects o
ORDER BY 1, 3;
