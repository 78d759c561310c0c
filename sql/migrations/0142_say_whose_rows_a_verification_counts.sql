-- Says of each column of a verification whether it is of its chain or of the whole run; the verifier counts rows by chain.
-- Safe: comments only. Rows of ledgers with several chains that are there already count the whole run, and go within 90 days.

SET LOCAL ROLE celerytrail_owner;

COMMENT ON COLUMN celerytrail.verifications.rows IS 'Rows of this chain that were read after from_n.';
COMMENT ON COLUMN celerytrail.verifications.seconds IS
    'How long the whole run took, by both ways: chains are read together.';
COMMENT ON COLUMN celerytrail_views.verifications.rows IS 'Rows of this chain that were read after from_n.';
COMMENT ON COLUMN celerytrail_views.verifications.seconds IS
    'How long the whole run took, by both ways: chains are read together.';
