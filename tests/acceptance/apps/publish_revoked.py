"""Publish tasks that a running worker is told to revoke, as many as the argument says."""

from __future__ import annotations

import sys

from publish_thousand import revoked

if __name__ == "__main__":
    revoked(int(sys.argv[1]))
