-- Lets the maintainer's schedule finish erasures that were broken off, and tells how many there are and how many marks.
-- Safe: new functions for one role, and a view.

SET LOCAL ROLE celerytrail_owner;

CREATE FUNCTION celerytrail.attend_erasure(erasure_id uuid)
RETURNS bool
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    -- Of the session, so that it ends with the process, however that ends.
    SELECT pg_try_advisory_lock(hashtextextended('celerytrail erase ' || $1, 0))
$$;
COMMENT ON FUNCTION celerytrail.attend_erasure(uuid) IS
    'Says to others that this session works on an erasure. False where another session does.';

CREATE FUNCTION celerytrail.leave_erasure(erasure_id uuid)
RETURNS bool
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_unlock(hashtextextended('celerytrail erase ' || $1, 0))
$$;
COMMENT ON FUNCTION celerytrail.leave_erasure(uuid) IS 'Takes back what attend_erasure() said.';

CREATE FUNCTION celerytrail.abandoned_erasures(older_than_seconds int4)
RETURNS TABLE (erasure_id uuid, actor text, begun_at timestamptz, remaining int8, continued_by text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        e.erasure_id, e.actor, e.begun_at,
        (SELECT count(*) FROM celerytrail.erasure_targets t WHERE t.erasure_id = e.erasure_id),
        e.continued_by
    FROM celerytrail.erasures e
    WHERE e.finished_at IS NULL
      AND e.begun_at < clock_timestamp() - make_interval(secs => greatest($1, 0))
      AND pg_try_advisory_xact_lock(hashtextextended('celerytrail erase ' || e.erasure_id, 0))
    ORDER BY e.begun_at
$$;
COMMENT ON FUNCTION celerytrail.abandoned_erasures(int4) IS
    'The erasures begun longer ago that nobody finished and no session works on, oldest first.';

CREATE VIEW celerytrail_views.erasure_state WITH (security_barrier = true) AS
SELECT
    (SELECT count(*) FROM celerytrail.erased_tasks) AS marks,
    (SELECT count(*) FROM celerytrail.erasures e WHERE e.finished_at IS NULL) AS open,
    (SELECT count(*) FROM celerytrail.erasure_targets) AS remaining,
    (SELECT min(e.begun_at) FROM celerytrail.erasures e WHERE e.finished_at IS NULL) AS oldest_open;
COMMENT ON VIEW celerytrail_views.erasure_state IS
    'Tasks whose late payloads are refused, erasures that are not finished, and how many tasks these have still to do.';

GRANT EXECUTE ON FUNCTION
    celerytrail.attend_erasure(uuid), celerytrail.leave_erasure(uuid), celerytrail.abandoned_erasures(int4)
    TO celerytrail_maintainer;
GRANT SELECT ON celerytrail_views.erasure_state
    TO celerytrail_grafana, celerytrail_verifier, celerytrail_maintainer;
