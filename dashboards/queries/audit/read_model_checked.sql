-- How many seconds ago a sample of the read model was last compared with the ledger; -1 while one of the last hour differed.
SELECT
    CASE
        WHEN bool_or(c.different > 0 AND c.checked_at > now() - interval '1 hour') THEN -1
        ELSE extract(epoch FROM now() - max(c.checked_at))::float8
    END AS seconds
FROM celerytrail_views.read_model_checks c
HAVING count(*) > 0
