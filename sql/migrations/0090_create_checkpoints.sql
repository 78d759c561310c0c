-- Creates the role that signs checkpoints, and the record of them that dashboards show.
-- Safe: a new role that reads what the verifier reads, a new table that one function of it writes; it is no evidence itself.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'celerytrail_checkpointer') THEN
        BEGIN
            CREATE ROLE celerytrail_checkpointer
                LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
        EXCEPTION
            -- Somebody migrates another database of this cluster at the same moment.
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO celerytrail_checkpointer', pg_catalog.current_database()
    );
END
$$;

CREATE OR REPLACE FUNCTION celerytrail_admin.login_roles()
RETURNS SETOF name
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('celerytrail_sink'::name), ('celerytrail_actions'), ('celerytrail_grafana'),
        ('celerytrail_verifier'), ('celerytrail_maintainer'), ('celerytrail_checkpointer')
$$;

SET LOCAL ROLE celerytrail_owner;

GRANT USAGE ON SCHEMA celerytrail TO celerytrail_checkpointer;
GRANT SELECT ON
    celerytrail.migrations, celerytrail.steps, celerytrail.ledger, celerytrail.spans, celerytrail.actions,
    celerytrail.leaf_groups, celerytrail.blocks, celerytrail.chain, celerytrail.chain_head,
    celerytrail.announced_drops
TO celerytrail_checkpointer;

CREATE TABLE celerytrail.checkpoints (
    checkpoint_id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    issued_at timestamptz,
    epoch int4 CHECK (epoch >= 1),
    key_id text CHECK (octet_length(key_id) <= 200),
    chains json NOT NULL DEFAULT '[]' CHECK (json_typeof(chains) = 'array' AND octet_length(chains::text) <= 262144),
    note text CHECK (octet_length(note) <= 262144),
    published json NOT NULL DEFAULT '{}' CHECK (json_typeof(published) = 'object' AND octet_length(published::text) <= 16384),
    trouble text CHECK (octet_length(trouble) <= 8192),
    recorded_by text NOT NULL DEFAULT session_user,
    CHECK (note IS NULL OR (issued_at IS NOT NULL AND epoch IS NOT NULL AND key_id IS NOT NULL)),
    CHECK (note IS NOT NULL OR trouble IS NOT NULL)
);
COMMENT ON TABLE celerytrail.checkpoints IS
    'What `celerytrail checkpoint` signed and where it went; without a note, why it refused to sign. For dashboards: evidence are the notes kept outside of this database, and no verifier believes this table.';
COMMENT ON COLUMN celerytrail.checkpoints.chains IS
    '[{"chain": 0, "n": 12, "hash": "hex"}], the signed heads.';
COMMENT ON COLUMN celerytrail.checkpoints.published IS
    'Each destination and "ok" or what it answered: {"file": "ok", "otlp": "refused 503"}.';
CREATE INDEX checkpoints_time ON celerytrail.checkpoints (recorded_at);
CREATE INDEX checkpoints_signed ON celerytrail.checkpoints (checkpoint_id) WHERE note IS NOT NULL;

CREATE FUNCTION celerytrail.record_checkpoint(
    issued_at timestamptz, epoch int4, key_id text, chains json, note text, published json, trouble text
)
RETURNS int8
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id int8;
BEGIN
    INSERT INTO celerytrail.checkpoints AS c (
        issued_at, epoch, key_id, chains, note, published, trouble, recorded_by
    ) VALUES ($1, $2, $3, coalesce($4, '[]'), $5, coalesce($6, '{}'), left($7, 2000), session_user)
    RETURNING c.checkpoint_id INTO new_id;
    -- Bounded: what went well stays for two days, trouble for 90, 50,000 rows in any case. The newest
    -- signed one stays, since its age is what an alert looks at.
    DELETE FROM celerytrail.checkpoints c
    WHERE (
          (c.trouble IS NULL AND c.recorded_at < clock_timestamp() - interval '2 days')
          OR c.recorded_at < clock_timestamp() - interval '90 days'
          OR c.checkpoint_id <= new_id - 50000
      )
      AND c.checkpoint_id IS DISTINCT FROM (
          SELECT max(s.checkpoint_id) FROM celerytrail.checkpoints s WHERE s.note IS NOT NULL
      );
    RETURN new_id;
END
$$;
COMMENT ON FUNCTION celerytrail.record_checkpoint(timestamptz, int4, text, json, text, json, text) IS
    'Keeps what the checkpointer signed, or why it refused, for dashboards; drops old rows. Returns the row''s id.';
GRANT EXECUTE ON FUNCTION celerytrail.record_checkpoint(timestamptz, int4, text, json, text, json, text)
    TO celerytrail_checkpointer;
GRANT SELECT ON celerytrail.checkpoints TO celerytrail_checkpointer, celerytrail_verifier;

CREATE VIEW celerytrail_views.checkpoints WITH (security_barrier = true) AS
SELECT
    c.checkpoint_id, c.recorded_at, c.issued_at, c.epoch, c.key_id, c.chains, c.note, c.published,
    c.trouble, c.recorded_by
FROM celerytrail.checkpoints c;

-- Always one row: no checkpoint at all must be seen, too.
CREATE VIEW celerytrail_views.checkpoint_silence WITH (security_barrier = true) AS
SELECT
    signed.recorded_at AS signed_at,
    extract(epoch FROM clock_timestamp() - signed.recorded_at)::float8 AS seconds_silent,
    signed.epoch,
    signed.key_id,
    latest.recorded_at AS told_at,
    latest.trouble
FROM (SELECT) AS one
LEFT JOIN LATERAL (
    SELECT c.recorded_at, c.epoch, c.key_id
    FROM celerytrail.checkpoints c
    WHERE c.note IS NOT NULL
    ORDER BY c.checkpoint_id DESC
    LIMIT 1
) AS signed ON true
LEFT JOIN LATERAL (
    SELECT c.recorded_at, c.trouble
    FROM celerytrail.checkpoints c
    ORDER BY c.checkpoint_id DESC
    LIMIT 1
) AS latest ON true;

GRANT SELECT ON celerytrail_views.checkpoints, celerytrail_views.checkpoint_silence
    TO celerytrail_grafana;
