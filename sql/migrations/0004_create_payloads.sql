-- Creates the payloads, which can be erased, and the quarantine, which is bounded.
-- Safe: new tables only.

SET LOCAL ROLE celerytrail_owner;

CREATE TABLE celerytrail.payloads (
    event_time timestamptz NOT NULL,
    day date NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    retries int4,
    stream_id uuid NOT NULL,
    seq int8 NOT NULL,
    kind text NOT NULL,
    commitment bytea NOT NULL,
    salt bytea NOT NULL,
    truncated bool NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal_id int8 NOT NULL DEFAULT currval('celerytrail.principal_now'),
    -- What a view decodes for people must be text; convert_from raises where it is not.
    CONSTRAINT payloads_text CHECK (kind = 'body' OR convert_from(body, 'UTF8') IS NOT NULL),
    CONSTRAINT payloads_day CHECK (
        day IN ('-infinity', 'infinity') OR day = (event_time AT TIME ZONE 'UTC')::date
    )
) PARTITION BY LIST (day);
COMMENT ON TABLE celerytrail.payloads IS
    'User data, apart from the ledger: a span carries salted commitments to these rows, so erasing one leaves the chain valid.';
CREATE UNIQUE INDEX payloads_key
    ON celerytrail.payloads (task_id, commitment, day, namespace, service, environment);

CREATE TRIGGER begin_batch_1 BEFORE INSERT ON celerytrail.payloads
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.require_principal();
CREATE TRIGGER own_deployment AFTER INSERT ON celerytrail.payloads
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.require_deployment();
CREATE TRIGGER forbid_change BEFORE UPDATE ON celerytrail.payloads
    FOR EACH ROW EXECUTE FUNCTION celerytrail.forbid();
CREATE TRIGGER forbid_truncate BEFORE TRUNCATE ON celerytrail.payloads
    FOR EACH STATEMENT EXECUTE FUNCTION celerytrail.forbid();
ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER begin_batch_1;
ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER own_deployment;
ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER forbid_change;
ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER forbid_truncate;

GRANT INSERT (
    event_time, day, namespace, service, environment, task_id, retries, stream_id, seq, kind,
    commitment, salt, truncated, body
) ON celerytrail.payloads TO celerytrail_sink;
-- The keys alone, to tell a double from a row that was swallowed.
GRANT SELECT (namespace, service, environment, task_id, commitment, day)
    ON celerytrail.payloads TO celerytrail_sink;
GRANT SELECT ON celerytrail.payloads TO celerytrail_maintainer;

CREATE TABLE celerytrail.quarantine (
    quarantine_id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal_id int8 NOT NULL,
    reason text NOT NULL,
    size int4 NOT NULL,
    item bytea NOT NULL
);
COMMENT ON TABLE celerytrail.quarantine IS
    'What could be decoded but not stored, for people to look at: the newest 1,000 items of each principal, 64 KiB of each.';
CREATE INDEX quarantine_principal ON celerytrail.quarantine (principal_id, quarantine_id);
GRANT SELECT ON celerytrail.quarantine TO celerytrail_maintainer;

CREATE FUNCTION celerytrail.add_quarantine(reason text, items bytea[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mine int8 := currval('celerytrail.principal_now'::regclass);
BEGIN
    INSERT INTO celerytrail.quarantine (principal_id, reason, size, item)
    SELECT mine, left(add_quarantine.reason, 1000), octet_length(i.item), substr(i.item, 1, 65536)
    FROM unnest(add_quarantine.items[1:1000]) AS i (item)
    WHERE i.item IS NOT NULL;
    DELETE FROM celerytrail.quarantine q
    WHERE q.principal_id = mine
      AND (
          q.received_at < clock_timestamp() - interval '30 days'
          OR q.quarantine_id <= (
              SELECT o.quarantine_id
              FROM celerytrail.quarantine o
              WHERE o.principal_id = mine
              ORDER BY o.quarantine_id DESC
              OFFSET 1000 LIMIT 1
          )
      );
END
$$;
COMMENT ON FUNCTION celerytrail.add_quarantine(text, bytea[]) IS
    'Keeps items of the principal of this session and drops its oldest beyond the bound.';
GRANT EXECUTE ON FUNCTION celerytrail.add_quarantine(text, bytea[]) TO celerytrail_sink;
