"""Publish tasks without an agent, one after the other, and print the ids when all have their results."""

import json
import sys

from recorded_app import add

ids = []
for number in range(int(sys.argv[1])):
    result = add.delay(number, 1)
    assert result.get(timeout=60) == number + 1
    ids.append(result.id)
print(json.dumps(ids))
