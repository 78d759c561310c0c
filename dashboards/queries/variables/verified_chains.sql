-- Included in other queries: what verifications say of each chain, and the newest of them was compared with. Only a full one that found it in order takes back that it was
-- broken or its guards altered: the quick ones between look at what is new.
SELECT
    {alias}.chain,
    {alias}.verified_at,
    {alias}.status,
    {alias}.to_n,
    {alias}.compared_with,
    {alias}.anchor_n,
    {alias}.trouble,
    {alias}.broken_at > {alias}.whole_at AS is_broken,
    {alias}.altered_at > {alias}.whole_at AS is_altered
FROM (
    SELECT
        n.chain,
        max(n.verified_at) AS verified_at,
        (array_agg(n.status ORDER BY n.verified_at DESC))[1] AS status,
        (array_agg(n.compared_with ORDER BY n.verified_at DESC))[1] AS compared_with,
        (array_agg(n.anchor_n ORDER BY n.verified_at DESC))[1] AS anchor_n,
        (array_agg(n.trouble ORDER BY n.verified_at DESC))[1] AS trouble,
        max(n.to_n) FILTER (WHERE n.status <> 'broken' AND n.fingerprint_ok) AS to_n,
        coalesce(max(n.verified_at) FILTER (WHERE n.status = 'broken'), '-infinity') AS broken_at,
        coalesce(max(n.verified_at) FILTER (WHERE NOT n.fingerprint_ok), '-infinity') AS altered_at,
        coalesce(
            max(n.verified_at) FILTER (WHERE n.mode = 'full' AND n.status <> 'broken' AND n.fingerprint_ok), '-infinity'
        ) AS whole_at
    FROM celerytrail_views.verifications n
    GROUP BY n.chain
) AS {alias}
