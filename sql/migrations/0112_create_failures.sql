-- Creates the failures by the fingerprint of their exception: one row for each event that carries one.
-- Safe: a new table, which can be rebuilt from the ledger, and a new view.

SET LOCAL ROLE celerytrail_owner;

-- Rows of events and no counters: the same in any order of arrival, and however often an event comes.
CREATE TABLE celerytrail.failures (
    event_id uuid PRIMARY KEY,
    event_time timestamptz NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    fingerprint text NOT NULL,
    step text NOT NULL,
    exception_class text NOT NULL,
    task_id text NOT NULL,
    task_name text,
    queue text,
    worker text,
    retries int4,
    workflow_id text NOT NULL
);
COMMENT ON TABLE celerytrail.failures IS
    'Each event of a task that carries an exception, with the fingerprint of that. Derived from spans; no user data.';
CREATE INDEX failures_time ON celerytrail.failures (event_time);
CREATE INDEX failures_fingerprint ON celerytrail.failures (fingerprint, event_time);
CREATE INDEX failures_task ON celerytrail.failures (task_id);

GRANT SELECT, INSERT ON celerytrail.failures TO celerytrail_sink;
GRANT SELECT ON celerytrail.failures TO celerytrail_verifier;

-- It shows every row and looks nothing up, so there is nothing for a barrier to keep: without one the oldest
-- of a fingerprint is found by the index.
CREATE VIEW celerytrail_views.failures WITH (security_barrier = false) AS
SELECT
    f.namespace, f.service, f.environment, f.fingerprint, f.event_time, f.step,
    f.step = 'retried' AS is_retried, f.exception_class, f.task_id, f.task_name, f.queue, f.worker,
    f.retries, f.workflow_id
FROM celerytrail.failures f;
COMMENT ON VIEW celerytrail_views.failures IS
    'Each event with an exception. is_retried: the task was to be tried again after it.';

GRANT SELECT ON celerytrail_views.failures TO celerytrail_grafana;
