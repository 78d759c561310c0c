-- Creates the ledger: identity, principals, tokens, spans, blocks and the chain. See docs/design/hash-chain.md.
-- Safe: new tables only.

SET LOCAL ROLE celerytrail_owner;

CREATE TABLE celerytrail.ledger (
    ledger_id uuid NOT NULL DEFAULT gen_random_uuid(),
    format_version int2 NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
COMMENT ON TABLE celerytrail.ledger IS 'Which ledger this is. Its id is part of the hash of every block.';
INSERT INTO celerytrail.ledger DEFAULT VALUES;

CREATE TABLE celerytrail.horizon (
    retained_from date NOT NULL DEFAULT '-infinity',
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
COMMENT ON TABLE celerytrail.horizon IS 'Events of days before this one were dropped by retention and are refused.';
INSERT INTO celerytrail.horizon DEFAULT VALUES;

CREATE TABLE celerytrail.chain_head (
    chain int4 PRIMARY KEY,
    n int8 NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    linked_at timestamptz NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE celerytrail.chain_head IS 'Where each chain stands. Updated once a block, at COMMIT, hence the fill factor.';
INSERT INTO celerytrail.chain_head
SELECT
    0,
    0,
    sha256(convert_to('celerytrail/genesis/v1', 'UTF8') || '\x00'::bytea || uuid_send(ledger_id) || int4send(0)),
    created_at
FROM celerytrail.ledger;

CREATE TABLE celerytrail.principals (
    principal_id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> ''),
    namespace text NOT NULL,
    service text NOT NULL CHECK (service <> ''),
    environment text NOT NULL,
    chain int4 NOT NULL DEFAULT 0 REFERENCES celerytrail.chain_head (chain),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at timestamptz
);
COMMENT ON TABLE celerytrail.principals IS 'Who may write: one principal belongs to one deployment, one deployment may have several.';

CREATE TABLE celerytrail.tokens (
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    principal_id int8 NOT NULL REFERENCES celerytrail.principals (principal_id),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text NOT NULL DEFAULT session_user,
    expires_at timestamptz,
    revoked_at timestamptz
);
COMMENT ON TABLE celerytrail.tokens IS 'SHA-256 of each token. The token itself is shown once, when it is made.';
CREATE INDEX tokens_principal ON celerytrail.tokens (principal_id);

-- The values of a session that only functions of the owner can set: which principal speaks, which
-- batch is being written. Every other role may at most read them.
CREATE SEQUENCE celerytrail.principal_now;
CREATE SEQUENCE celerytrail.batch_seq;
GRANT SELECT ON SEQUENCE celerytrail.principal_now, celerytrail.batch_seq TO celerytrail_sink;

CREATE TABLE celerytrail.spans (
    event_id uuid NOT NULL,
    event_time timestamptz NOT NULL,
    day date NOT NULL,
    namespace text NOT NULL,
    service text NOT NULL,
    environment text NOT NULL,
    stream_id uuid NOT NULL,
    seq int8 NOT NULL,
    step text NOT NULL,
    inferred bool NOT NULL,
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL,
    parent_span_id bytea,
    span_name text NOT NULL,
    span_kind int2 NOT NULL,
    status_code int2 NOT NULL,
    start_unix_nano int8 NOT NULL,
    end_unix_nano int8 NOT NULL,
    process_kind text,
    worker text,
    host text,
    pid int4,
    task_id text,
    task_name text,
    retries int4,
    queue text,
    root_id text,
    parent_id text,
    group_id text,
    root_group_id text,
    chord_body_id text,
    send_id bytea,
    sent_unix_nano int8,
    run_id bytea,
    eta timestamptz,
    priority int4,
    queue_wait_us int8,
    runtime_us int8,
    exception_class text,
    about_stream_id uuid,
    commitments json,
    links json,
    marks text,
    attributes json NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal_id int8 NOT NULL DEFAULT currval('celerytrail.principal_now'),
    batch_id int8 NOT NULL DEFAULT currval('celerytrail.batch_seq'),
    CONSTRAINT spans_seq CHECK (seq >= 1),
    CONSTRAINT spans_day CHECK (
        day IN ('-infinity', 'infinity') OR day = (event_time AT TIME ZONE 'UTC')::date
    )
) PARTITION BY LIST (day);
COMMENT ON TABLE celerytrail.spans IS
    'The ledger: one row for each step in the life of a task, a group, a worker or a stream. Append only, hashed into blocks.';
-- Backstop against doubles; the authority is streams.seqs.
CREATE UNIQUE INDEX spans_event ON celerytrail.spans (event_id, day);
CREATE INDEX spans_task ON celerytrail.spans (task_id, event_time) WHERE task_id IS NOT NULL;
CREATE INDEX spans_batch ON celerytrail.spans (batch_id);
CREATE INDEX spans_time ON celerytrail.spans USING brin (event_time);

CREATE TABLE celerytrail.leaf_groups (
    batch_id int8 NOT NULL,
    day date NOT NULL,
    cnt int4 NOT NULL,
    root bytea NOT NULL,
    leaves bytea NOT NULL
) PARTITION BY LIST (day);
-- Hashes do not compress.
ALTER TABLE celerytrail.leaf_groups ALTER COLUMN leaves SET STORAGE EXTERNAL;
COMMENT ON TABLE celerytrail.leaf_groups IS
    'The leaf hashes of one day of one batch, 32 bytes each, in order. Dropped together with the rows of that day.';
CREATE UNIQUE INDEX leaf_groups_batch ON celerytrail.leaf_groups (batch_id, day);

CREATE TABLE celerytrail.blocks (
    batch_id int8 PRIMARY KEY,
    chain int4 NOT NULL,
    kind int2 NOT NULL,
    format_version int2 NOT NULL,
    cnt int4 NOT NULL,
    days date[] NOT NULL,
    cnts int4[] NOT NULL,
    roots bytea[] NOT NULL,
    body_hash bytea NOT NULL,
    sealed_by text NOT NULL,
    sealed_at timestamptz NOT NULL
);
COMMENT ON TABLE celerytrail.blocks IS 'One row for each statement that inserted rows: 1 = spans, 2 = actions. Kept for ever.';

CREATE TABLE celerytrail.chain (
    chain int4 NOT NULL,
    n int8 NOT NULL CHECK (n >= 1),
    batch_id int8 NOT NULL UNIQUE,
    prev bytea NOT NULL,
    hash bytea NOT NULL,
    linked_at timestamptz NOT NULL,
    PRIMARY KEY (chain, n),
    -- Turns a fork into an error.
    UNIQUE (chain, prev)
);
COMMENT ON TABLE celerytrail.chain IS 'The links: n counts without holes in the order of commits.';

GRANT INSERT (
    event_id, event_time, day, namespace, service, environment, stream_id, seq, step, inferred,
    trace_id, span_id, parent_span_id, span_name, span_kind, status_code, start_unix_nano,
    end_unix_nano, process_kind, worker, host, pid, task_id, task_name, retries, queue, root_id,
    parent_id, group_id, root_group_id, chord_body_id, send_id, sent_unix_nano, run_id, eta,
    priority, queue_wait_us, runtime_us, exception_class, about_stream_id, commitments, links,
    marks, attributes
) ON celerytrail.spans TO celerytrail_sink;
GRANT SELECT ON celerytrail.ledger, celerytrail.horizon TO celerytrail_sink, celerytrail_actions;
GRANT SELECT ON
    celerytrail.ledger, celerytrail.horizon, celerytrail.principals, celerytrail.spans,
    celerytrail.leaf_groups, celerytrail.blocks, celerytrail.chain, celerytrail.chain_head
TO celerytrail_verifier, celerytrail_maintainer;
