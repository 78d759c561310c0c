-- Creates the read model: what the dashboards read, kept by upserts that give the same result in any order.
-- Safe: new tables only; all of them can be rebuilt from the ledger.

SET LOCAL ROLE celerytrail_owner;

CREATE TABLE celerytrail.steps (
    step text PRIMARY KEY,
    code int4 NOT NULL UNIQUE,
    subject text NOT NULL,
    rank int2 NOT NULL,
    state text,
    ends bool NOT NULL,
    event text NOT NULL
);
COMMENT ON TABLE celerytrail.steps IS 'The tables STEPS and ACTION_STEPS of exporter/attributes.py; a test compares them.';
INSERT INTO celerytrail.steps (code, step, subject, rank, state, ends, event) VALUES
    (1, 'sent', 'task', 10, 'sent', false, 'task-sent'),
    (2, 'send_failed', 'task', 15, 'send_failed', true, 'task-send-failed'),
    (3, 'received', 'task', 20, 'received', false, 'task-received'),
    (4, 'started', 'task', 30, 'started', false, 'task-started'),
    (5, 'lost', 'task', 40, 'lost', true, 'task-lost'),
    (6, 'aborted', 'task', 42, 'aborted', true, 'task-aborted'),
    (7, 'rejected', 'task', 44, 'rejected', true, 'task-rejected'),
    (8, 'ignored', 'task', 46, 'ignored', true, 'task-ignored'),
    (9, 'retried', 'task', 48, 'retried', true, 'task-retried'),
    (10, 'unknown', 'task', 50, 'unknown', true, 'task-unknown'),
    (11, 'malformed', 'task', 51, 'malformed', true, 'task-malformed'),
    (12, 'expired', 'task', 60, 'expired', true, 'task-expired'),
    (13, 'revoked', 'task', 62, 'revoked', true, 'task-revoked'),
    (14, 'failed', 'task', 70, 'failed', true, 'task-failed'),
    (15, 'succeeded', 'task', 72, 'succeeded', true, 'task-succeeded'),
    (20, 'purged', 'task', 58, 'purged', true, 'task-purged'),
    (30, 'group', 'group', 0, NULL, false, 'group-sent'),
    (40, 'worker_ready', 'worker', 0, 'online', false, 'worker-online'),
    (41, 'worker_stopping', 'worker', 1, 'stopping', false, 'worker-stopping'),
    (42, 'worker_heartbeat', 'worker', 0, 'online', false, 'worker-heartbeat'),
    (50, 'stream_opened', 'stream', 0, NULL, false, 'stream-opened'),
    (51, 'stream_closed', 'stream', 2, NULL, true, 'stream-closed'),
    (52, 'stream_abandoned', 'stream', 1, NULL, true, 'stream-abandoned');

-- Orders events as docs/design/identity.md says: bytes compare as (send time, rank, event time, event id).
CREATE FUNCTION celerytrail.event_key(
    sent_unix_nano int8, rank int4, event_unix_nano int8, event_id uuid
)
RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN int8send(greatest(sent_unix_nano, 0)) || int2send(rank::int2)
    || int8send(greatest(event_unix_nano, 0)) || uuid_send(event_id);
GRANT EXECUTE ON FUNCTION celerytrail.event_key(int8, int4, int8, uuid)
    TO celerytrail_sink, celerytrail_verifier;

-- Columns before a *_key column come from the event with the highest such key; the others are
-- the least or greatest of what was seen. So the order of arrival and doubles do not matter.
CREATE TABLE celerytrail.tasks (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    task_id text NOT NULL,
    -- The newest send.
    task_name text,
    queue text,
    eta timestamptz,
    priority int4,
    retries int4,
    send_id bytea,
    trace_id bytea,
    message_day date,
    args_commitment bytea,
    kwargs_commitment bytea,
    stamps_commitment bytea,
    body_commitment bytea,
    message_key bytea,
    -- The event that decides the state.
    state text NOT NULL,
    inferred bool NOT NULL,
    worker text,
    finished_at timestamptz,
    runtime_us int8,
    exception_class text,
    state_day date NOT NULL,
    exception_commitment bytea,
    traceback_commitment bytea,
    result_commitment bytea,
    state_key bytea NOT NULL,
    -- The newest start.
    started_at timestamptz,
    queue_wait_us int8,
    start_key bytea,
    -- Least or greatest.
    root_id text,
    parent_id text,
    group_id text,
    root_group_id text,
    chord_body_id text,
    attempts int4 NOT NULL,
    first_sent_at timestamptz,
    sent_at timestamptz,
    received_at timestamptz,
    updated_at timestamptz,
    PRIMARY KEY (task_id, namespace, service, environment)
) WITH (fillfactor = 70);
COMMENT ON TABLE celerytrail.tasks IS 'The current state of each task. Derived from spans and from purges among the actions; no user data.';
CREATE INDEX tasks_updated ON celerytrail.tasks (updated_at);
CREATE INDEX tasks_name ON celerytrail.tasks (task_name, updated_at);
CREATE INDEX tasks_state ON celerytrail.tasks (state, updated_at);
CREATE INDEX tasks_finished ON celerytrail.tasks (finished_at) INCLUDE (task_name, runtime_us);
CREATE INDEX tasks_failed ON celerytrail.tasks (finished_at, root_id) WHERE state = 'failed';
CREATE INDEX tasks_root ON celerytrail.tasks (root_id);
CREATE INDEX tasks_parent ON celerytrail.tasks (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX tasks_group ON celerytrail.tasks (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX tasks_root_group ON celerytrail.tasks (root_group_id) WHERE root_group_id IS NOT NULL;

CREATE TABLE celerytrail.runs (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    run_id bytea NOT NULL,
    task_id text NOT NULL,
    task_name text,
    send_id bytea,
    trace_id bytea,
    retries int4,
    queue text,
    worker text,
    host text,
    pid int4,
    state text NOT NULL,
    inferred bool NOT NULL,
    finished_at timestamptz,
    runtime_us int8,
    exception_class text,
    state_day date NOT NULL,
    exception_commitment bytea,
    traceback_commitment bytea,
    result_commitment bytea,
    state_key bytea NOT NULL,
    started_at timestamptz,
    queue_wait_us int8,
    updated_at timestamptz,
    PRIMARY KEY (run_id, namespace, service, environment)
) WITH (fillfactor = 80);
COMMENT ON TABLE celerytrail.runs IS 'Each execution of each attempt. Derived from spans.';
CREATE INDEX runs_task ON celerytrail.runs (task_id, started_at);
CREATE INDEX runs_open ON celerytrail.runs (started_at) WHERE finished_at IS NULL;

CREATE TABLE celerytrail.run_ends (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    send_id bytea NOT NULL,
    task_id text NOT NULL,
    state text NOT NULL,
    inferred bool NOT NULL,
    finished_at timestamptz NOT NULL,
    runtime_us int8,
    exception_class text,
    state_day date NOT NULL,
    exception_commitment bytea,
    traceback_commitment bytea,
    result_commitment bytea,
    state_key bytea NOT NULL,
    PRIMARY KEY (send_id, namespace, service, environment)
);
COMMENT ON TABLE celerytrail.run_ends IS
    'Ends that name a send but no run: the worker''s main process reports a killed child so. They close the runs of that send that are open.';

CREATE TABLE celerytrail.groups (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    group_id text NOT NULL,
    -- The first span that was minted for it; two publishers may mint one each.
    kind text,
    size int8,
    trace_id bytea,
    span_id bytea,
    parent_span_id bytea,
    group_key bytea,
    root_id text,
    parent_id text,
    root_group_id text,
    chord_body_id text,
    first_sent_at timestamptz,
    updated_at timestamptz,
    PRIMARY KEY (group_id, namespace, service, environment)
) WITH (fillfactor = 80);
COMMENT ON TABLE celerytrail.groups IS 'Groups and chords; the members are tasks with that group_id. Derived from spans.';
CREATE INDEX groups_updated ON celerytrail.groups (updated_at);
CREATE INDEX groups_root_group ON celerytrail.groups (root_group_id) WHERE root_group_id IS NOT NULL;

CREATE TABLE celerytrail.streams (
    stream_id uuid NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    process_kind text,
    worker text,
    host text,
    pid int4,
    seqs int8multirange NOT NULL DEFAULT '{}',
    refused int8multirange NOT NULL DEFAULT '{}',
    last_seq int8 NOT NULL DEFAULT 0,
    lost int8 NOT NULL DEFAULT 0,
    opened_at timestamptz,
    closed_at timestamptz,
    abandoned_at timestamptz,
    first_seen_at timestamptz,
    updated_at timestamptz,
    -- The deployment is part of the key so that nobody can take another deployment's numbers.
    PRIMARY KEY (stream_id, namespace, service, environment)
) WITH (fillfactor = 50);
COMMENT ON TABLE celerytrail.streams IS
    'One row for each process that captures: seqs are the numbers that are rows of the ledger, refused those turned away on purpose.';

CREATE TABLE celerytrail.workers (
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    worker text NOT NULL,
    state text NOT NULL,
    seen_at timestamptz NOT NULL,
    host text,
    pid int4,
    state_key bytea NOT NULL,
    concurrency int8,
    pool text,
    queues text,
    celery_version text,
    ready_at timestamptz,
    ready_key bytea,
    PRIMARY KEY (worker, namespace, service, environment)
) WITH (fillfactor = 50);
COMMENT ON TABLE celerytrail.workers IS 'What each worker node last said of itself. Derived from spans.';

CREATE TABLE celerytrail.task_actions (
    action_id uuid NOT NULL,
    task_id text NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    intent_id uuid,
    action_time timestamptz NOT NULL,
    verb text NOT NULL,
    phase text NOT NULL,
    result text,
    new_task_id text,
    actor text NOT NULL,
    PRIMARY KEY (action_id, task_id)
);
COMMENT ON TABLE celerytrail.task_actions IS
    'Which action named which task, and what became of it. Derived from actions.';
CREATE INDEX task_actions_task ON celerytrail.task_actions (task_id, action_time);
CREATE INDEX task_actions_sent ON celerytrail.task_actions (task_id, action_time)
    WHERE new_task_id IS NOT NULL AND result = 'sent';
CREATE INDEX task_actions_new ON celerytrail.task_actions (new_task_id)
    WHERE new_task_id IS NOT NULL AND result = 'sent';

GRANT SELECT ON celerytrail.steps
    TO celerytrail_sink, celerytrail_actions, celerytrail_verifier, celerytrail_maintainer;
GRANT SELECT, INSERT, UPDATE ON
    celerytrail.tasks, celerytrail.runs, celerytrail.run_ends, celerytrail.groups,
    celerytrail.streams, celerytrail.workers
TO celerytrail_sink;
GRANT SELECT ON
    celerytrail.tasks, celerytrail.runs, celerytrail.run_ends, celerytrail.groups,
    celerytrail.streams, celerytrail.workers, celerytrail.task_actions
TO celerytrail_actions, celerytrail_verifier, celerytrail_maintainer;

-- Lets the sink tell a double from an equivocation without letting it read the ledger.
CREATE FUNCTION celerytrail.stored_digests(event_ids uuid[])
RETURNS TABLE (event_id uuid, digest bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        s.event_id,
        sha256(record_send(ROW(
            s.event_id, s.event_time, s.namespace, s.service, s.environment,
            s.stream_id, s.seq, s.step, s.inferred, s.trace_id, s.span_id, s.parent_span_id,
            s.span_name, s.span_kind, s.status_code, s.start_unix_nano, s.end_unix_nano,
            s.process_kind, s.worker, s.host, s.pid, s.task_id, s.task_name, s.retries,
            s.queue, s.root_id, s.parent_id, s.group_id, s.root_group_id, s.chord_body_id,
            s.send_id, s.sent_unix_nano, s.run_id, s.eta, s.priority, s.queue_wait_us,
            s.runtime_us, s.exception_class, s.about_stream_id, s.commitments, s.links,
            s.attributes
        )))
    FROM celerytrail.spans s
    WHERE s.event_id = ANY ($1)
      AND s.principal_id IN (
          SELECT p.principal_id
          FROM celerytrail.principals p
          JOIN celerytrail.principals mine
            ON (mine.namespace, mine.service, mine.environment) = (p.namespace, p.service, p.environment)
          WHERE mine.principal_id = currval('celerytrail.principal_now'::regclass)
      )
$$;
COMMENT ON FUNCTION celerytrail.stored_digests(uuid[]) IS
    'Digests of what the sender said in stored events of the session''s deployment: without day and marks, which depend on when it arrived.';
GRANT EXECUTE ON FUNCTION celerytrail.stored_digests(uuid[]) TO celerytrail_sink;
