-- Says of each verification what it was compared with, up to which block that was kept outside, and why it could not be compared.
-- Safe: columns without a default of a small table; its one writer takes what it took before, its view has what it had.

SET LOCAL ROLE celerytrail_owner;

ALTER TABLE celerytrail.verifications
    ADD COLUMN compared_with text CHECK (compared_with IN ('checkpoint', 'heads')),
    ADD COLUMN anchor_n int8 CHECK (anchor_n >= 0),
    ADD COLUMN anchor_time timestamptz,
    ADD COLUMN trouble text CHECK (octet_length(trouble) <= 8192);
COMMENT ON COLUMN celerytrail.verifications.compared_with IS
    'What the run was told to compare with: signed checkpoints, a file of heads, or NULL for nothing.';
COMMENT ON COLUMN celerytrail.verifications.anchor_n IS
    'The newest block of this chain that was kept outside and compared with.';
COMMENT ON COLUMN celerytrail.verifications.anchor_time IS 'When that block was signed or kept.';
COMMENT ON COLUMN celerytrail.verifications.trouble IS
    'Why the checkpoints could not be compared with, which then says no more than internal.';

-- With defaults, so that a verifier of before goes on recording.
DROP FUNCTION celerytrail.record_verification(
    text, int4, int8, int8, bytea, text, json, int8, float8, bool
);
CREATE FUNCTION celerytrail.record_verification(
    mode text, chain int4, from_n int8, to_n int8, head_hash bytea, status text, first_bad json,
    rows int8, seconds float8, fingerprint_ok bool, compared_with text DEFAULT NULL,
    anchor_n int8 DEFAULT NULL, anchor_time timestamptz DEFAULT NULL, trouble text DEFAULT NULL
)
RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    recorded_at timestamptz := clock_timestamp();
BEGIN
    INSERT INTO celerytrail.verifications (
        verified_at, mode, chain, from_n, to_n, head_hash, status, first_bad, rows, seconds,
        fingerprint_ok, compared_with, anchor_n, anchor_time, trouble, verified_by
    ) VALUES (recorded_at, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, left($14, 2000), session_user);
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
    text, int4, int8, int8, bytea, text, json, int8, float8, bool, text, int8, timestamptz, text
) IS 'Keeps the result of a verification for dashboards and drops old ones: incremental ones that found nothing after a day, others after 90.';
GRANT EXECUTE ON FUNCTION celerytrail.record_verification(
    text, int4, int8, int8, bytea, text, json, int8, float8, bool, text, int8, timestamptz, text
) TO celerytrail_verifier;

CREATE OR REPLACE VIEW celerytrail_views.verifications WITH (security_barrier = true) AS
SELECT
    v.verified_at, v.mode, v.chain, v.from_n, v.to_n, encode(v.head_hash, 'hex') AS head_hash,
    v.status, v.first_bad, v.rows, v.seconds, v.fingerprint_ok, v.verified_by,
    v.compared_with, v.anchor_n, v.anchor_time, v.trouble
FROM celerytrail.verifications v;
COMMENT ON COLUMN celerytrail_views.verifications.compared_with IS
    'What the run was told to compare with: signed checkpoints, a file of heads, or NULL for nothing.';
COMMENT ON COLUMN celerytrail_views.verifications.anchor_n IS
    'The newest block of this chain that was kept outside and compared with.';
COMMENT ON COLUMN celerytrail_views.verifications.anchor_time IS 'When that block was signed or kept.';
COMMENT ON COLUMN celerytrail_views.verifications.trouble IS
    'Why the checkpoints could not be compared with, which then says no more than internal.';
