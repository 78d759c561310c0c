-- How many seconds ago the heads of the chains were last signed; -1 where the checkpointer refuses, no value where it never signed.
SELECT
    CASE WHEN s.trouble LIKE 'REFUSED:%' THEN -1 ELSE s.seconds_silent END AS seconds
FROM celerytrail_views.checkpoint_silence s
