-- One row a chain and reason: a verification found it broken or the guards altered and no full one since found it in order; it was never
-- verified; it was not verified for longer than verified_within. The number is how many blocks came after the last that was verified, and one.
WITH limits AS (
    SELECT interval '15 minutes' AS verified_within
), verified AS (
    SELECT
        v.chain,
        max(v.verified_at) AS verified_at,
        max(v.to_n) FILTER (WHERE v.status <> 'broken' AND v.fingerprint_ok) AS to_n,
        max(v.verified_at) FILTER (WHERE v.status = 'broken') AS broken_at,
        max(v.verified_at) FILTER (WHERE NOT v.fingerprint_ok) AS altered_at,
        coalesce(
            max(v.verified_at) FILTER (WHERE v.mode = 'full' AND v.status <> 'broken' AND v.fingerprint_ok),
            '-infinity'
        ) AS whole_at
    FROM celerytrail_views.verifications v
    GROUP BY v.chain
)
SELECT
    c.chain::text AS chain,
    r.reason,
    (c.n - coalesce(least(v.to_n, c.n), 0) + 1)::float8 AS blocks
FROM celerytrail_views.chain_state c
CROSS JOIN limits l
LEFT JOIN verified v ON v.chain = c.chain
CROSS JOIN LATERAL (VALUES
    ('broken', v.broken_at > v.whole_at),
    ('guards altered', v.altered_at > v.whole_at),
    ('never verified', v.chain IS NULL AND c.n > 0),
    ('not verified lately', v.verified_at < now() - l.verified_within)
) AS r (reason, is_so)
WHERE r.is_so
ORDER BY c.chain, r.reason
