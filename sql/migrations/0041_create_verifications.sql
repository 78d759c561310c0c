-- Creates the record of verifications, which dashboards show as "verified up to".
-- Safe: a new table, written by one function of the verifier's role; it is no evidence itself.

SET LOCAL ROLE celerytrail_owner;

CREATE TABLE celerytrail.verifications (
    verification_id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verified_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    mode text NOT NULL CHECK (mode IN ('full', 'incremental')),
    chain int4 NOT NULL,
    from_n int8 NOT NULL CHECK (from_n >= 0),
    to_n int8 NOT NULL CHECK (to_n >= 0),
    head_hash bytea NOT NULL CHECK (octet_length(head_hash) = 32),
    status text NOT NULL CHECK (status IN ('ok', 'internal', 'broken')),
    first_bad json,
    rows int8 NOT NULL CHECK (rows >= 0),
    seconds float8 NOT NULL CHECK (seconds >= 0),
    fingerprint_ok bool NOT NULL,
    verified_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE celerytrail.verifications IS
    'What each run of `celerytrail verify --every` said of each chain. ok: against a head kept outside; internal: consistent in itself only. For dashboards, not for auditors.';
CREATE INDEX verifications_time ON celerytrail.verifications (verified_at);
CREATE INDEX verifications_chain ON celerytrail.verifications (chain, verified_at);

CREATE FUNCTION celerytrail.record_verification(
    mode text, chain int4, from_n int8, to_n int8, head_hash bytea, status text, first_bad json,
    rows int8, seconds float8, fingerprint_ok bool
)
RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    recorded_at timestamptz := clock_timestamp();
BEGIN
    INSERT INTO celerytrail.verifications (
        verified_at, mode, chain, from_n, to_n, head_hash, status, first_bad, rows, seconds,
        fingerprint_ok, verified_by
    ) VALUES (recorded_at, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, session_user);
    -- Bounded: small runs that found nothing stay for a day, the others for 90.
    DELETE FROM celerytrail.verifications v
    WHERE v.chain = $2
      AND v.verified_at < recorded_at - CASE
          WHEN v.mode = 'incremental' AND v.status <> 'broken' THEN interval '1 day'
          ELSE interval '90 days'
      END;
    RETURN recorded_at;
END
$$;
COMMENT ON FUNCTION celerytrail.record_verification(
    text, int4, int8, int8, bytea, text, json, int8, float8, bool
) IS 'Keeps the result of a verification for dashboards and drops old ones: incremental ones that found nothing after a day, others after 90.';
GRANT EXECUTE ON FUNCTION celerytrail.record_verification(
    text, int4, int8, int8, bytea, text, json, int8, float8, bool
) TO celerytrail_verifier;
GRANT SELECT ON celerytrail.verifications TO celerytrail_verifier, celerytrail_maintainer;

CREATE VIEW celerytrail_views.verifications WITH (security_barrier = true) AS
SELECT
    v.verified_at, v.mode, v.chain, v.from_n, v.to_n, encode(v.head_hash, 'hex') AS head_hash,
    v.status, v.first_bad, v.rows, v.seconds, v.fingerprint_ok, v.verified_by
FROM celerytrail.verifications v;
GRANT SELECT ON celerytrail_views.verifications
    TO celerytrail_grafana, celerytrail_verifier, celerytrail_maintainer;
