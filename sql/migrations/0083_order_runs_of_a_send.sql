-- Orders the runs of one send by time: a message that comes again after a lost, aborted or rejected run is running again.
-- Safe: three numbers of a small table, and two views with the same columns as before.

SET LOCAL ROLE celerytrail_owner;

UPDATE celerytrail.steps SET rank = 30 WHERE step IN ('lost', 'aborted', 'rejected');

CREATE OR REPLACE VIEW celerytrail.workflow_steps AS
SELECT
    t.workflow_id, t.namespace, t.service, t.environment, t.task_id, t.task_name, t.group_id,
    t.body_of, t.outcome, t.updated_at, t.send_id = s.send_id AS is_newest_send,
    s.step, s.span_id, s.parent_span_id, s.send_id, s.run_id, s.span_name, s.span_kind,
    s.status_code, s.start_unix_nano, s.end_unix_nano, s.retries, s.queue, s.worker, s.host, s.pid,
    s.exception_class, s.trace_id,
    s.step IN ('sent', 'send_failed') AS is_send,
    bool_or(s.step IN ('sent', 'send_failed') AND s.span_id = s.send_id) OVER same_send AS has_send,
    bool_or(s.span_id = s.run_id) OVER same_run AS has_run,
    -- A run whose end nobody reported ended no later than its send did.
    max(s.end_unix_nano) FILTER (WHERE p.ends AND p.rank >= 30) OVER same_send AS ended_unix_nano,
    row_number() OVER (
        PARTITION BY t.workflow_id, t.namespace, t.service, t.environment, s.span_id
        ORDER BY p.rank DESC, s.event_id
    ) AS place,
    row_number() OVER (
        PARTITION BY t.workflow_id, t.namespace, t.service, t.environment, s.run_id, s.step
        ORDER BY s.event_id
    ) AS place_in_run,
    json_agg(json_build_object(
        'timestamp', s.end_unix_nano / 1000000.0,
        'name', s.step,
        'fields', json_build_array(
            json_build_object('key', 'event', 'value', s.step),
            json_build_object('key', 'worker', 'value', s.worker)
        )
    )) FILTER (WHERE s.step = 'received') OVER same_send AS points
FROM celerytrail.workflow_tasks t
JOIN celerytrail.spans s
    ON s.task_id = t.task_id
   AND (s.namespace, s.service, s.environment) = (t.namespace, t.service, t.environment)
   -- The partitions of its days, and those of the events whose clock was beyond all days.
   AND (s.day BETWEEN t.first_day AND t.last_day OR s.day IN ('-infinity', 'infinity'))
JOIN celerytrail.steps p ON p.step = s.step
WINDOW
    same_send AS (PARTITION BY t.workflow_id, t.namespace, t.service, t.environment, t.task_id, s.send_id),
    same_run AS (PARTITION BY t.workflow_id, t.namespace, t.service, t.environment, s.run_id);

-- What a worker's main process reported comes before an end that was concluded, or only aborted.
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
