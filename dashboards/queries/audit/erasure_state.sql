-- How many erasures are not finished, how many tasks they have still to erase, and how many tasks are marked as erased.
SELECT
    s.open,
    s.remaining AS "left",
    s.marks
FROM celerytrail_views.erasure_state s
