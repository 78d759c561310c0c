"""Why nobody was recognised: a constant name for the ledger, a sentence for the person."""

from __future__ import annotations

from enum import Enum

from celerytrail.action_api.errors import NotAuthenticated


class Why(str, Enum):
    """The reasons, as the ledger and the metrics name them."""

    NOTHING = "no_proof"
    MIXED = "mixed_proofs"
    REPEATED = "repeated_header"
    SECRET_MISSING = "proxy_secret_missing"
    SECRET_WRONG = "proxy_secret_wrong"
    TOKEN_MISSING = "token_missing"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_ALGORITHM = "token_algorithm"
    TOKEN_KEY = "token_key_unknown"
    TOKEN_SIGNATURE = "token_signature"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_TIME = "token_not_yet_valid"
    TOKEN_CLAIM = "token_claim_missing"
    TOKEN_ISSUER = "token_issuer"
    TOKEN_AUDIENCE = "token_audience"
    TOKEN_TYPE = "token_not_of_a_user"
    CONTEXT_MISSING = "context_missing"
    CONTEXT_MALFORMED = "context_malformed"
    CONTEXT_DIFFERS = "context_differs"
    CONTEXT_ANONYMOUS = "context_anonymous"
    API_TOKEN_MALFORMED = "api_token_malformed"
    API_TOKEN_UNKNOWN = "api_token_unknown"
    KEYS_UNAVAILABLE = "keys_unavailable"


def refused(why: Why, message: str) -> NotAuthenticated:
    """Return the error for one of the reasons; ``why`` goes into the ledger, not to the caller."""
    error = NotAuthenticated(message)
    error.why = why.value
    return error
