-- One row while a sample of the last hour was not as the ledger has it. The number is how many tasks of the sample with the most. Each look takes
-- other tasks, so that a later one which finds nothing does not say that it is mended.
SELECT
    'not as the ledger has it' AS reason,
    max(c.different)::float8 AS different
FROM celerytrail_views.read_model_checks c
WHERE c.checked_at > now() - interval '1 hour' AND c.different > 0
HAVING count(*) > 0
LIMIT 1
