-- Adds what agents and shippers say of themselves: a step, columns of streams, a view.
-- Safe: columns without a default rewrite nothing; a new row of steps and a new view.

SET LOCAL ROLE celerytrail_owner;

INSERT INTO celerytrail.steps (code, step, subject, rank, state, ends, event) VALUES
    (53, 'shipper_heartbeat', 'stream', 0, NULL, false, 'shipper-heartbeat');

-- Those before heartbeat_key come from the event with the highest such key, whatever arrived first.
ALTER TABLE celerytrail.streams
    ADD COLUMN heartbeat_at timestamptz,
    ADD COLUMN version text,
    ADD COLUMN spool_bytes int8,
    ADD COLUMN spool_segments int8,
    ADD COLUMN spool_lag_ms int8,
    ADD COLUMN rejected int8,
    ADD COLUMN delivery_error text,
    ADD COLUMN heartbeat_key bytea;

CREATE VIEW celerytrail_views.heartbeats WITH (security_barrier = true) AS
SELECT
    s.stream_id, s.namespace, s.service, s.environment, s.process_kind, s.worker, s.host, s.pid,
    CASE
        WHEN s.closed_at IS NOT NULL THEN 'ended'
        WHEN s.abandoned_at IS NOT NULL THEN 'unterminated'
        ELSE 'live'
    END AS state,
    s.version, s.heartbeat_at, s.spool_bytes, s.spool_segments, s.spool_lag_ms, s.rejected,
    s.delivery_error, s.lost
FROM celerytrail.streams s
WHERE s.heartbeat_at IS NOT NULL;

GRANT SELECT ON celerytrail_views.heartbeats
    TO celerytrail_grafana, celerytrail_verifier, celerytrail_maintainer;
