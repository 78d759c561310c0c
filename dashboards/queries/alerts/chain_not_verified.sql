-- One row a chain and reason: it was verified once and is gone; a verification found it broken or the guards altered and no full one since found it in order; it was never
-- verified; it was not verified for longer than verified_within; the verifier is told of checkpoints, and the newest verification could not
-- compare with them, or they have no block of it. The number is how many blocks came after the last that was verified, and one.
WITH limits AS (
    SELECT interval '15 minutes' AS verified_within
), verified AS (
    -- include: verified_chains as k
)
SELECT
    coalesce(c.chain, v.chain)::text AS chain,
    r.reason,
    (coalesce(c.n, 0) - coalesce(least(v.to_n, coalesce(c.n, 0)), 0) + 1)::float8 AS blocks
FROM celerytrail_views.chain_state c
FULL JOIN verified v ON v.chain = c.chain
CROSS JOIN limits l
CROSS JOIN LATERAL (VALUES
    ('gone', c.chain IS NULL),
    ('broken', v.is_broken),
    ('guards altered', v.is_altered),
    ('never verified', v.chain IS NULL AND c.n > 0),
    ('not verified lately', v.verified_at < now() - l.verified_within),
    ('not compared', v.trouble IS NOT NULL),
    ('in no checkpoint', v.trouble IS NULL AND v.compared_with = 'checkpoint' AND v.status = 'internal' AND c.n > 0)
) AS r (reason, is_so)
WHERE r.is_so
ORDER BY coalesce(c.chain, v.chain), r.reason
