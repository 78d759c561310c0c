-- Lets the verifier compare the read model with the ledger: two functions that take an action's json apart.
-- Safe: they read nothing but their arguments.

SET LOCAL ROLE celerytrail_owner;

GRANT EXECUTE ON FUNCTION
    celerytrail.named_tasks(text, json, json),
    celerytrail.purged_messages(json)
TO celerytrail_verifier;
