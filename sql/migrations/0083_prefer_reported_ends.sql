-- Replaces the view of runs: what a worker's main process reported comes before an end that was concluded or aborted.
-- Safe: the same columns of the same view.

SET LOCAL ROLE celerytrail_owner;

CREATE OR REPLACE VIEW celerytrail_views.runs WITH (security_barrier = true) AS
SELECT
    r.namespace, r.service, r.environment, encode(r.run_id, 'hex') AS run_id, r.task_id,
    r.task_name, encode(r.send_id, 'hex') AS send_id, encode(r.trace_id, 'hex') AS trace_id,
    r.retries, r.queue, r.worker, r.host, r.pid, r.started_at, r.queue_wait_us, r.updated_at,
    coalesce(e.state, r.state) AS state,
    coalesce(e.inferred, r.inferred) AS inferred,
    coalesce(e.finished_at, r.finished_at) AS finished_at,
    CASE WHEN e.state IS NULL THEN r.runtime_us ELSE e.runtime_us END AS runtime_us,
    CASE WHEN e.state IS NULL THEN r.exception_class ELSE e.exception_class END AS exception_class,
    e.state IS NOT NULL AS ended_from_outside
FROM celerytrail.runs r
-- An end that names no run is that of the newest run of its send, if that one was not reported to have ended in
-- another way. A child that is being killed still says "aborted"; why it was, the main process tells.
LEFT JOIN celerytrail.run_ends e
    ON e.send_id = r.send_id
   AND (e.namespace, e.service, e.environment) = (r.namespace, r.service, r.environment)
   AND (r.finished_at IS NULL OR r.inferred OR r.state = 'aborted')
   AND (r.started_at IS NULL OR r.started_at <= e.finished_at)
   AND NOT EXISTS (
        SELECT FROM celerytrail.runs n
        WHERE n.task_id = r.task_id
          AND (n.namespace, n.service, n.environment) = (r.namespace, r.service, r.environment)
          AND n.send_id = r.send_id
          AND n.started_at > r.started_at
          AND n.started_at <= e.finished_at
   );
