-- What was erased and which days retention dropped, in the time range or not finished: who, how much, how far it is.
SELECT
    e.at AS "time",
    e.what,
    e.actor,
    e.state,
    e.subject,
    e.went,
    e.id
FROM (
    SELECT
        r.begun_at AS at,
        'erase' AS what,
        r.actor,
        CASE WHEN r.finished_at IS NULL THEN concat('open, ', r.remaining, ' left') ELSE 'done' END AS state,
        concat(r.tasks, ' tasks: ', array_to_string(r.kinds, ', ')) AS subject,
        (
            SELECT string_agg(concat(c.value, ' ', c.key), ', ' ORDER BY c.key)
            FROM jsonb_each_text(r.counts) AS c
            WHERE c.value <> '0' AND c.key <> 'tasks'
        ) AS went,
        r.erasure_id::text AS id,
        r.finished_at IS NULL AS is_open
    FROM celerytrail_views.erasures r
    UNION ALL
    SELECT
        coalesce(d.dropped_at, d.announced_at),
        'retention',
        d.actor,
        CASE
            WHEN d.dropped_at IS NULL THEN 'announced'
            WHEN d.forgotten_at IS NULL THEN 'dropped'
            ELSE 'done'
        END,
        concat('day ', d.day),
        concat(d.rows, ' events of ', d.groups, ' blocks'),
        NULL,
        d.forgotten_at IS NULL
    FROM celerytrail_views.day_drops d
) AS e
WHERE $__timeFilter(e.at) OR e.is_open
ORDER BY e.is_open DESC, e.at DESC
LIMIT 200
