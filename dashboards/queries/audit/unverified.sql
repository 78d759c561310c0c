-- Blocks that were chained after the newest verification that found its chain in order.
SELECT sum(greatest(c.n - coalesce(v.to_n, 0), 0))::int8 AS "blocks"
FROM celerytrail_views.chain_state c
LEFT JOIN (
    -- include: verified_chains as k
) AS v ON v.chain = c.chain
