-- Seconds since every chain was last verified; -1 when the newest verification of a chain found it broken or
-- its guards altered; nothing when one was never verified.
SELECT
    CASE
        WHEN bool_or(v.status = 'broken' OR NOT v.fingerprint_ok) THEN -1
        WHEN count(v.chain) < count(*) THEN NULL
        ELSE extract(epoch FROM now() - min(v.verified_at))::float8
    END AS "verified"
FROM celerytrail_views.chain_state c
LEFT JOIN (
    SELECT DISTINCT ON (n.chain) n.chain, n.status, n.fingerprint_ok, n.verified_at
    FROM celerytrail_views.verifications n
    ORDER BY n.chain, n.verified_at DESC
) AS v ON v.chain = c.chain
