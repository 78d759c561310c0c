-- Seconds since every chain was last verified; -1 when one was found broken or its guards altered, and no full
-- verification since found it in order, or is there no longer; nothing when one was never verified.
SELECT
    CASE
        WHEN bool_or(v.is_broken OR v.is_altered OR c.chain IS NULL) THEN -1
        WHEN count(v.chain) < count(*) THEN NULL
        ELSE extract(epoch FROM now() - min(v.verified_at))::float8
    END AS "verified"
FROM celerytrail_views.chain_state c
FULL JOIN (
    -- include: verified_chains as k
) AS v ON v.chain = c.chain
