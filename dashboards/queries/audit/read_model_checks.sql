-- What samples and rebuilds of the read model found in the time range: those with differences first, then the newest.
SELECT
    f.at AS "time",
    f.what,
    CASE
        WHEN f.different = 0 THEN 'as the ledger has it'
        WHEN f.repaired THEN 'repaired'
        ELSE 'differs'
    END AS found,
    f.different,
    f.compared,
    f.incomparable,
    f.first,
    f.task_id,
    f.seconds,
    f.run_by
FROM (
    SELECT
        c.checked_at AS at,
        'self-check' AS what,
        false AS repaired,
        c.different::int8 AS different,
        concat(c.sampled, ' tasks') AS compared,
        c.incomparable::int8 AS incomparable,
        CASE
            WHEN c.different > 0
            THEN concat(
                coalesce(c.column_name, 'row'), ' is ', coalesce(c.stored, 'nothing'), ', and the ledger says ',
                coalesce(c.recomputed, 'nothing')
            )
        END AS first,
        c.task_id,
        c.seconds,
        'celerytrail_maintainer' AS run_by
    FROM celerytrail_views.read_model_checks c
    WHERE $__timeFilter(c.checked_at)
    UNION ALL
    SELECT
        r.ended_at,
        CASE WHEN r.repaired THEN 'rebuild' ELSE 'rebuild --check' END,
        r.repaired,
        r.different,
        concat(r.spans, ' events, ', r.actions, ' actions'),
        NULL,
        (
            SELECT string_agg(concat(d.value, ' of ', d.key), ', ' ORDER BY d.key)
            FROM jsonb_each_text(r.differing) AS d
        ),
        NULL,
        r.seconds,
        r.run_by
    FROM celerytrail_views.rebuilds r
    WHERE $__timeFilter(r.ended_at)
) AS f
ORDER BY (f.different > 0) DESC, f.at DESC
LIMIT 100
