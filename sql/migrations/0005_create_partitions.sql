-- Creates the catch-all partitions and the function that makes day partitions ahead of time.
-- Safe: ATTACH takes a lock that neither readers nor writers of the parent wait for.

SET LOCAL ROLE celerytrail_owner;

CREATE FUNCTION celerytrail.create_partition(parent text, suffix text, partition_day date)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    child text := parent || '_' || suffix;
BEGIN
    -- CREATE TABLE .. PARTITION OF would wait for every open transaction that has read the parent.
    EXECUTE format(
        'CREATE TABLE celerytrail.%I (LIKE celerytrail.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)',
        child, parent
    );
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

CREATE FUNCTION celerytrail.ensure_partitions(from_day date, to_day date)
RETURNS int4
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    one_day date;
    made int4 := 0;
BEGIN
    IF from_day IS NULL OR to_day IS NULL OR NOT isfinite(from_day) OR NOT isfinite(to_day)
        OR from_day < today - 32 OR to_day > today + 3 OR from_day > to_day
    THEN
        RAISE EXCEPTION 'celerytrail: day partitions from % to % are outside the window from % to %',
            from_day, to_day, today - 32, today + 3
            USING ERRCODE = 'CT004';
    END IF;
    PERFORM
    FROM generate_series(from_day, to_day, interval '1 day') AS d (t)
    WHERE to_regclass('celerytrail.spans_' || to_char(d.t, 'YYYYMMDD')) IS NULL;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    -- Conflicts with itself only: one maker at a time, readers and writers go on.
    LOCK TABLE celerytrail.spans IN SHARE UPDATE EXCLUSIVE MODE;
    FOR one_day IN SELECT d.t::date FROM generate_series(from_day, to_day, interval '1 day') AS d (t) LOOP
        CONTINUE WHEN to_regclass('celerytrail.spans_' || to_char(one_day, 'YYYYMMDD')) IS NOT NULL;
        CONTINUE WHEN one_day < (SELECT h.retained_from FROM celerytrail.horizon h);
        PERFORM celerytrail.create_partition('spans', to_char(one_day, 'YYYYMMDD'), one_day);
        PERFORM celerytrail.create_partition('leaf_groups', to_char(one_day, 'YYYYMMDD'), one_day);
        PERFORM celerytrail.create_partition('payloads', to_char(one_day, 'YYYYMMDD'), one_day);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION celerytrail.ensure_partitions(date, date) IS
    'Makes the day partitions that are not there yet and returns how many days it made. Raises CT004 outside of [-32, +3] days.';
GRANT EXECUTE ON FUNCTION celerytrail.ensure_partitions(date, date)
    TO celerytrail_sink, celerytrail_maintainer;

SELECT
    celerytrail.create_partition(parent, 'before_all', '-infinity'),
    celerytrail.create_partition(parent, 'after_all', 'infinity')
FROM unnest(ARRAY['spans', 'leaf_groups', 'payloads']) AS p (parent);
