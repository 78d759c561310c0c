-- Creates the text that the dashboards search: a bounded excerpt of each shown payload, never of a sealed body.
-- Safe: a new table, filled from the payloads while no more is stored than a migration may wait for; two triggers on payloads.

SET LOCAL ROLE celerytrail_owner;

CREATE TABLE celerytrail.searchable (
    event_time timestamptz NOT NULL,
    day date NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('args', 'kwargs', 'exception')),
    commitment bytea NOT NULL,
    excerpt text NOT NULL
);
COMMENT ON TABLE celerytrail.searchable IS
    'The first 512 characters of shown arguments and exceptions, in lower case. User data: a row comes and goes with its payload.';
-- In order of time, so that the newest are found first and the index grows at one end only. There is none on the
-- text: keeping one costs more than all else that is stored of a payload (docs/benchmarks.md).
CREATE INDEX searchable_time ON celerytrail.searchable (event_time);
CREATE INDEX searchable_task ON celerytrail.searchable (task_id);

CREATE FUNCTION celerytrail.search_excerpt(body bytea)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN lower(left(convert_from(body, 'UTF8'), 512));

-- Triggers and not statements of the sink, so that no way of adding or removing a payload leaves an excerpt
-- missing or, worse, behind.
CREATE FUNCTION celerytrail.add_searchable()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO celerytrail.searchable (
        event_time, day, namespace, service, environment, task_id, kind, commitment, excerpt
    )
    SELECT
        r.event_time, r.day, r.namespace, r.service, r.environment, r.task_id, r.kind, r.commitment,
        celerytrail.search_excerpt(r.body)
    FROM new_rows r
    -- Two bytes are an empty list, object or text.
    WHERE r.kind IN ('args', 'kwargs', 'exception') AND octet_length(r.body) > 2;
    RETURN NULL;
END
$$;

CREATE FUNCTION celerytrail.remove_searchable()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM celerytrail.searchable s
    USING old_rows o
    WHERE s.task_id = o.task_id AND s.commitment = o.commitment AND s.day = o.day
      AND (s.namespace, s.service, s.environment) = (o.namespace, o.service, o.environment);
    RETURN NULL;
END
$$;

CREATE TRIGGER searchable_add AFTER INSERT ON celerytrail.payloads
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.add_searchable();
CREATE TRIGGER searchable_remove AFTER DELETE ON celerytrail.payloads
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.remove_searchable();
ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER searchable_add;
ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER searchable_remove;

CREATE FUNCTION celerytrail.erase_searchable(
    namespace text, service text, environment text, task_ids text[], kinds text[]
)
RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    erased int8;
BEGIN
    IF cardinality(task_ids) > 10000 THEN
        RAISE EXCEPTION 'celerytrail: % tasks at once, at most 10000 may be erased', cardinality(task_ids)
            USING ERRCODE = 'CT007';
    END IF;
    DELETE FROM celerytrail.searchable s
    WHERE s.task_id = ANY (task_ids) AND s.namespace = $1 AND s.service = $2 AND s.environment = $3
      AND (kinds IS NULL OR s.kind = ANY (kinds));
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END
$$;
COMMENT ON FUNCTION celerytrail.erase_searchable(text, text, text, text[], text[]) IS
    'Removes the excerpts of tasks of one deployment, of all kinds where kinds is NULL. Returns how many. Raises CT007 above 10,000 tasks.';

CREATE FUNCTION celerytrail.trim_searchable(at_most int4)
RETURNS int8
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (
        DELETE FROM celerytrail.searchable s
        WHERE s.ctid = ANY (ARRAY(
            SELECT o.ctid
            FROM celerytrail.searchable o
            WHERE o.event_time < (
                SELECT h.retained_from::timestamp AT TIME ZONE 'UTC' FROM celerytrail.horizon h
            )
              -- The partitions of those are not dropped.
              AND isfinite(o.day)
            ORDER BY o.event_time
            LIMIT least(at_most, 100000)
        ))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION celerytrail.trim_searchable(int4) IS
    'Removes the oldest excerpts of days that retention dropped, at most 100,000. Returns how many: call it until that is 0.';
GRANT EXECUTE ON FUNCTION
    celerytrail.erase_searchable(text, text, text, text[], text[]), celerytrail.trim_searchable(int4)
TO celerytrail_maintainer;

CREATE FUNCTION celerytrail.rebuild_searchable(of_day date)
RETURNS int8
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made int8;
BEGIN
    -- Whoever removes a payload meanwhile waits here, and then removes what this has made of it.
    LOCK TABLE celerytrail.searchable IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM celerytrail.searchable s WHERE of_day IS NULL OR s.day = of_day;
    INSERT INTO celerytrail.searchable (
        event_time, day, namespace, service, environment, task_id, kind, commitment, excerpt
    )
    SELECT
        p.event_time, p.day, p.namespace, p.service, p.environment, p.task_id, p.kind, p.commitment,
        celerytrail.search_excerpt(p.body)
    FROM celerytrail.payloads p
    WHERE (of_day IS NULL OR p.day = of_day)
      AND p.kind IN ('args', 'kwargs', 'exception') AND octet_length(p.body) > 2
    ORDER BY p.event_time;
    GET DIAGNOSTICS made = ROW_COUNT;
    RETURN made;
END
$$;
COMMENT ON FUNCTION celerytrail.rebuild_searchable(date) IS
    'Makes the excerpts of a day, or of all days for NULL, again from the payloads. Returns how many. Writers of payloads wait meanwhile.';
SELECT celerytrail.rebuild_searchable(NULL);

CREATE VIEW celerytrail_views.searchable WITH (security_barrier = false) AS
SELECT s.event_time, s.namespace, s.service, s.environment, s.task_id, s.kind, s.excerpt
FROM celerytrail.searchable s;
COMMENT ON VIEW celerytrail_views.searchable IS
    'What a text is looked for in. Ask with bounds of event_time: every excerpt between them may be read.';
GRANT SELECT ON celerytrail_views.searchable TO celerytrail_grafana;
