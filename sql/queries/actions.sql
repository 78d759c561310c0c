-- What the action API asks of the ledger, as role celerytrail_actions.

-- name: authenticate_api_token
SELECT t.token_id, t.name, t.namespace, t.service, t.environment, t.scopes
FROM celerytrail.authenticate_api_token(%(token_hash)s) AS t

-- name: begin_intent
SELECT i.result, i.intent_id, i.state, i.outcome, i.actor
FROM celerytrail.begin_intent(
    intent_id => %(intent_id)s::uuid,
    verb => %(verb)s,
    actor => %(actor)s,
    actor_kind => %(actor_kind)s,
    role => %(role)s,
    namespace => %(namespace)s,
    service => %(service)s,
    environment => %(environment)s,
    request_id => %(request_id)s,
    target => %(target)s::json,
    target_key => %(target_key)s,
    idempotency_key => %(idempotency_key)s,
    request_hash => %(request_hash)s,
    reason => %(reason)s,
    holder => %(holder)s,
    lease_seconds => %(lease_seconds)s::float8,
    recent_seconds => %(recent_seconds)s::float8
) AS i

-- name: renew_lease
SELECT celerytrail.renew_lease(%(intent_id)s::uuid, %(holder)s, %(lease_seconds)s::float8)

-- name: progress_intent
SELECT celerytrail.progress_intent(%(intent_id)s::uuid, %(holder)s, %(detail)s::json)

-- name: finish_intent
SELECT celerytrail.finish_intent(%(intent_id)s::uuid, %(holder)s, %(state)s, %(outcome)s::json)

-- name: take_expired_intents
SELECT
    i.intent_id, i.verb, i.namespace, i.service, i.environment, i.target, i.target_key, i.actor,
    i.created_at, i.progress, clock_timestamp() AS now
FROM celerytrail.take_expired_intents(%(holder)s, %(lease_seconds)s::float8) AS i

-- name: intent_state
SELECT
    i.state, i.outcome, i.actor, i.verb, i.created_at, i.finished_at,
    coalesce(a.namespace, '') AS namespace, coalesce(a.service, '') AS service,
    coalesce(a.environment, '') AS environment
FROM celerytrail.intent_state(%(intent_id)s::uuid) AS i
JOIN celerytrail.actions AS a ON a.action_id = %(intent_id)s::uuid

-- name: append_refusal
-- Writes what was asked for and refused; nothing of it was done.
SELECT celerytrail.append_action(
    action_id => %(action_id)s::uuid,
    phase => 'refused',
    verb => %(verb)s,
    actor => %(actor)s,
    actor_kind => %(actor_kind)s,
    role => %(role)s,
    namespace => %(namespace)s,
    service => %(service)s,
    environment => %(environment)s,
    request_id => %(request_id)s,
    target => %(target)s::json,
    detail => %(detail)s::json
)

-- name: message_for_retry
SELECT
    m.body, m.salt, m.commitment, m.retries, m.stream_id, m.seq, m.withheld, m.span_commitment,
    m.payload_namespace, m.payload_service, m.payload_environment, m.payload_task_id,
    m.block_fault, m.verification
FROM celerytrail.message_for_retry(
    %(namespace)s, %(service)s, %(environment)s, %(task_id)s
) AS m

-- name: task
-- The current state of one task, and whether the events say that it has ended.
SELECT
    t.task_id, t.task_name, t.state, t.inferred, t.retries, t.queue, t.worker, t.group_id,
    t.chord_body_id, p.ends AND t.state <> 'retried' AS ended,
    encode(t.send_id, 'hex') AS send_id
FROM celerytrail.tasks t
JOIN celerytrail.steps p ON p.state = t.state AND p.subject = 'task'
WHERE t.task_id = %(task_id)s
  AND (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)

-- name: group_members
-- All tasks of a group, as ``task`` has them.
SELECT
    t.task_id, t.task_name, t.state, t.inferred, t.retries, t.queue, t.worker, t.group_id,
    t.chord_body_id, p.ends AND t.state <> 'retried' AS ended,
    encode(t.send_id, 'hex') AS send_id
FROM celerytrail.tasks t
JOIN celerytrail.steps p ON p.state = t.state AND p.subject = 'task'
WHERE t.group_id = %(group_id)s
  AND (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)
ORDER BY t.first_sent_at, t.task_id
LIMIT %(most)s

-- name: known_tasks
-- Which of these ids the ledger has heard of.
SELECT t.task_id, t.state
FROM celerytrail.tasks t
WHERE t.task_id = ANY (%(task_ids)s::text[])
  AND (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)

-- name: known_queues
-- Queues that tasks of the last day went to, and those that workers said they read from.
SELECT DISTINCT q.queue
FROM (
    SELECT t.queue
    FROM (
        SELECT r.queue, r.namespace, r.service, r.environment
        FROM celerytrail.tasks r
        WHERE r.updated_at > clock_timestamp() - interval '1 day'
        ORDER BY r.updated_at DESC
        LIMIT 50000
    ) AS t
    WHERE (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)
    UNION ALL
    SELECT unnest(string_to_array(w.queues, ','))
    FROM celerytrail.workers w
    WHERE (w.namespace, w.service, w.environment) = (%(namespace)s, %(service)s, %(environment)s)
) AS q
WHERE q.queue <> ''
ORDER BY q.queue
LIMIT 1000

-- name: queue_is_known
-- Whether any task went to a queue, or any worker reads from it.
SELECT
    EXISTS (
        SELECT FROM celerytrail.tasks t
        WHERE t.queue = %(queue)s
          AND (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)
    ) OR EXISTS (
        SELECT FROM celerytrail.workers w
        WHERE %(queue)s = ANY (string_to_array(w.queues, ','))
          AND (w.namespace, w.service, w.environment) = (%(namespace)s, %(service)s, %(environment)s)
    )

-- name: oldest_waiting
-- The oldest task that was sent to a queue and that no worker has received, by what was reported.
SELECT extract(epoch FROM clock_timestamp() - min(t.sent_at))::float8
FROM celerytrail.tasks t
WHERE t.state = 'sent'
  AND t.queue = %(queue)s
  AND (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)

-- name: waiting_sample
-- Some tasks that were sent to a queue and that no worker has received, oldest first.
SELECT t.task_id, t.task_name
FROM celerytrail.tasks t
WHERE t.state = 'sent'
  AND t.queue = %(queue)s
  AND (t.namespace, t.service, t.environment) = (%(namespace)s, %(service)s, %(environment)s)
ORDER BY t.sent_at
LIMIT %(most)s

-- name: live_workers
-- Workers that said within five minutes that they run.
SELECT w.worker
FROM celerytrail.workers w
WHERE w.state = 'online'
  AND w.seen_at > clock_timestamp() - interval '5 minutes'
  AND (w.namespace, w.service, w.environment) = (%(namespace)s, %(service)s, %(environment)s)
ORDER BY w.worker
LIMIT 1000
