-- Keeps user data and salts out of the planner's statistics, which ANALYZE fills with values of rows and no DELETE empties.
-- Safe: takes a lock that readers and writers do not wait for; no index and no condition of the ledger rests on these statistics.

SET LOCAL ROLE celerytrail_owner;

-- With each partition that is there.
ALTER TABLE celerytrail.payloads ALTER COLUMN body SET STATISTICS 0, ALTER COLUMN salt SET STATISTICS 0;
ALTER TABLE celerytrail.searchable ALTER COLUMN excerpt SET STATISTICS 0;
ALTER TABLE celerytrail.action_reasons ALTER COLUMN body SET STATISTICS 0, ALTER COLUMN salt SET STATISTICS 0;
ALTER TABLE celerytrail.intents ALTER COLUMN request_hash SET STATISTICS 0;
ALTER TABLE celerytrail.quarantine ALTER COLUMN item SET STATISTICS 0, ALTER COLUMN reason SET STATISTICS 0;

CREATE OR REPLACE FUNCTION celerytrail.create_partition(parent text, suffix text, partition_day date)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    child text := parent || '_' || suffix;
    without_statistics text;
BEGIN
    -- CREATE TABLE .. PARTITION OF would wait for every open transaction that has read the parent.
    EXECUTE format(
        'CREATE TABLE celerytrail.%I (LIKE celerytrail.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
        child, parent
    );
    -- LIKE does not copy that. An erased word would outlive its row in what ANALYZE keeps.
    FOR without_statistics IN
        SELECT a.attname
        FROM pg_attribute a
        WHERE a.attrelid = format('celerytrail.%I', parent)::regclass AND a.attnum > 0
          AND NOT a.attisdropped AND a.attstattarget = 0
    LOOP
        EXECUTE format('ALTER TABLE celerytrail.%I ALTER COLUMN %I SET STATISTICS 0', child, without_statistics);
    END LOOP;
    IF parent <> 'leaf_groups' AND isfinite(partition_day) THEN
        -- Lets a condition on event_time alone leave out the other days.
        EXECUTE format(
            'ALTER TABLE celerytrail.%I ADD CONSTRAINT %I CHECK (event_time >= %L AND event_time < %L)',
            child, child || '_time',
            to_char(partition_day, 'YYYY-MM-DD') || ' 00:00:00+00',
            to_char(partition_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00'
        );
    END IF;
    EXECUTE format(
        'ALTER TABLE celerytrail.%I ATTACH PARTITION celerytrail.%I FOR VALUES IN (%L)',
        parent, child, partition_day
    );
    -- Statement triggers are not inherited.
    EXECUTE format(
        'CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.%I FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid()',
        child
    );
    EXECUTE format('ALTER TABLE celerytrail.%I ENABLE ALWAYS TRIGGER forbid_truncate', child);
    EXECUTE format('ALTER TABLE celerytrail.%I ENABLE ALWAYS TRIGGER forbid_change', child);
END
$$;

RESET ROLE;

-- What ANALYZE has kept before: it leaves alone what it no longer looks at.
DO $$
BEGIN
    IF (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) THEN
        DELETE FROM pg_catalog.pg_statistic s
        USING pg_catalog.pg_attribute a, pg_catalog.pg_class c
        WHERE a.attrelid = s.starelid AND a.attnum = s.staattnum AND a.attstattarget = 0
          AND c.oid = s.starelid AND c.relnamespace = 'celerytrail'::regnamespace;
    ELSIF EXISTS (SELECT FROM celerytrail.payloads) THEN
        RAISE NOTICE 'celerytrail: % is no superuser, so statistics that were made before this migration still hold '
            'words of payloads, excerpts and reasons. As a superuser: DELETE FROM pg_statistic s USING pg_attribute a '
            'WHERE a.attrelid = s.starelid AND a.attnum = s.staattnum AND a.attstattarget = 0', current_user;
    END IF;
END
$$;
