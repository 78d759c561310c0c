-- Keeps what each rebuild of the read model found, and shows it beside the samples.
-- Safe: a new table that only the owner writes, and a view.

SET LOCAL ROLE celerytrail_owner;

CREATE TABLE celerytrail.rebuilds (
    rebuild_id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The role that logged in: a rebuild acts as the owner.
    run_by text NOT NULL DEFAULT session_user,
    repaired bool NOT NULL,
    spans int8 NOT NULL,
    actions int8 NOT NULL,
    different int8 NOT NULL,
    -- How many rows of which table; no user data.
    differing jsonb NOT NULL,
    seconds float8 NOT NULL
);
COMMENT ON TABLE celerytrail.rebuilds IS
    'Each rebuild of the read model that came to its end, or look at what one would change: how many rows were not as the ledger has them.';
CREATE INDEX rebuilds_time ON celerytrail.rebuilds (ended_at);

CREATE VIEW celerytrail_views.rebuilds WITH (security_barrier = true) AS
SELECT r.ended_at, r.run_by, r.repaired, r.spans, r.actions, r.different, r.differing, r.seconds
FROM celerytrail.rebuilds r;
GRANT SELECT ON celerytrail_views.rebuilds
    TO celerytrail_grafana, celerytrail_verifier, celerytrail_maintainer;
