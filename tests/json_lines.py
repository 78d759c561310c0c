"""Reading a file of JSON lines to which other processes append."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def whole_lines(path: Path) -> list[Any]:
    """Return what the lines of a file say, none where there is no file.

    A last line without its end is left out: an append that crosses a page can be seen half done.
    """
    if not path.exists():
        return []
    whole, _, _ = path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]
