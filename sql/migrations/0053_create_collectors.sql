-- Lets the maintainer remove what nobody needs: payloads that no span names, old quarantine. Takes rights that no role needs.
-- Safe: an index on receive time, built while no more is stored than a migration may wait for; new functions.

SET LOCAL ROLE celerytrail_owner;

-- In order of arrival, so that the index grows at one end only.
CREATE INDEX payloads_received ON celerytrail.payloads (received_at);

CREATE TABLE celerytrail.orphan_scans (
    scan text PRIMARY KEY CHECK (scan IN ('resent', 'unclaimed')),
    received_to timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON TABLE celerytrail.orphan_scans IS
    'How far each search for payloads without a span has come, so that each payload is looked at once by each.';
INSERT INTO celerytrail.orphan_scans (scan) VALUES ('resent'), ('unclaimed');

CREATE FUNCTION celerytrail.collect_orphans(scan text, older_than interval, at_most int4)
RETURNS TABLE (examined int8, removed int8)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    scanned_to timestamptz;
    scan_end timestamptz;
BEGIN
    -- Not less than a day: a span follows its payload, and may have to wait for its sink.
    older_than := greatest(older_than, interval '1 day');
    SELECT s.received_to INTO STRICT scanned_to
    FROM celerytrail.orphan_scans s
    WHERE s.scan = collect_orphans.scan
    FOR UPDATE;
    SELECT max(p.received_at) INTO scan_end
    FROM (
        SELECT p.received_at
        FROM celerytrail.payloads p
        WHERE p.received_at > scanned_to AND p.received_at <= clock_timestamp() - older_than
        ORDER BY p.received_at
        LIMIT at_most
    ) AS p;
    IF scan_end IS NULL THEN
        examined := 0;
        removed := 0;
        RETURN NEXT;
        RETURN;
    END IF;

    WITH looked_at AS (
        SELECT p.day, p.received_at, p.namespace, p.service, p.environment, p.task_id, p.commitment,
            p.stream_id, p.seq
        FROM celerytrail.payloads p
        WHERE p.received_at > scanned_to AND p.received_at <= scan_end
    ), orphans AS (
        SELECT l.*
        FROM looked_at l
        WHERE NOT EXISTS (
            SELECT
            FROM celerytrail.spans s
            CROSS JOIN LATERAL json_each_text(s.commitments) AS c (kind, value)
            WHERE s.task_id = l.task_id
              -- The clock may have passed midnight, or the end of the window, between the two.
              AND s.day IN (l.day - 1, l.day, l.day + 1, '-infinity', 'infinity')
              AND (s.namespace, s.service, s.environment) = (l.namespace, l.service, l.environment)
              AND c.value = encode(l.commitment, 'hex')
        )
        -- The record came with another commitment: its shipper was killed between payload and span,
        -- and began again. A record that never came may still wait in a spool.
        AND (
            collect_orphans.scan = 'unclaimed'
            OR EXISTS (
                SELECT
                FROM celerytrail.streams t
                WHERE t.stream_id = l.stream_id
                  AND (t.namespace, t.service, t.environment) = (l.namespace, l.service, l.environment)
                  AND t.seqs @> l.seq
            )
        )
    ), gone AS (
        DELETE FROM celerytrail.payloads p
        USING orphans o
        WHERE p.task_id = o.task_id AND p.commitment = o.commitment AND p.day = o.day
          AND (p.namespace, p.service, p.environment) = (o.namespace, o.service, o.environment)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM looked_at), (SELECT count(*) FROM gone) INTO examined, removed;
    UPDATE celerytrail.orphan_scans s SET received_to = scan_end WHERE s.scan = collect_orphans.scan;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION celerytrail.collect_orphans(text, interval, int4) IS
    'Removes payloads that no span names, in order of arrival. "resent": their record is stored with another commitment; "unclaimed": whatever the reason.';

CREATE FUNCTION celerytrail.trim_quarantine(older_than interval, at_most int4)
RETURNS int8
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (
        DELETE FROM celerytrail.quarantine q
        WHERE q.quarantine_id IN (
            SELECT o.quarantine_id
            FROM celerytrail.quarantine o
            WHERE o.received_at < clock_timestamp() - greatest(older_than, interval '1 day')
            ORDER BY o.quarantine_id
            LIMIT at_most
        )
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION celerytrail.trim_quarantine(interval, int4) IS
    'Removes the oldest items of the quarantine beyond an age, of all principals. Returns how many.';

GRANT EXECUTE ON FUNCTION
    celerytrail.collect_orphans(text, interval, int4), celerytrail.trim_quarantine(interval, int4)
TO celerytrail_maintainer;

-- The functions read for it: the maintainer itself sees no event, no payload and no row of the ledger.
DO $$
DECLARE
    relation oid;
BEGIN
    FOR relation IN
        SELECT c.oid
        FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'celerytrail'::regnamespace AND c.relkind IN ('r', 'p', 'v')
          AND c.relowner = 'celerytrail_owner'::regrole AND c.relname <> 'migrations'
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM celerytrail_maintainer', relation::regclass);
    END LOOP;
END
$$;
-- The views are Grafana's: they show arguments and results, which neither verifying nor maintaining needs.
REVOKE ALL ON ALL TABLES IN SCHEMA celerytrail_views FROM celerytrail_maintainer, celerytrail_verifier;
REVOKE USAGE ON SCHEMA celerytrail_views FROM celerytrail_maintainer, celerytrail_verifier;
