-- Included in other queries: the states in which a task ended without doing what it was sent for.
{alias}.state IN ('failed', 'lost', 'aborted', 'rejected', 'unknown', 'malformed', 'expired', 'send_failed')
