"""Leaves comments out of SQL, as the data source does before it looks for macros."""

from __future__ import annotations

import re
from typing import Final

# A quoted string or name is matched first, so that dashes within it are no comment.
_QUOTED_OR_COMMENT: Final = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/""", re.VERBOSE | re.DOTALL
)


def without_comments(sql: str) -> str:
    """Return the SQL without `-- ...` and `/* ... */`; quoted text is kept as it is."""
    return _QUOTED_OR_COMMENT.sub(
        lambda match: "" if match[0].startswith(("--", "/*")) else match[0], sql
    )
