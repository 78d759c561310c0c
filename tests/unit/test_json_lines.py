"""Lines that another process is still writing are not read."""

from __future__ import annotations

from pathlib import Path

from tests.json_lines import whole_lines


def test_a_line_without_its_end_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "record"
    assert whole_lines(path) == []
    path.write_text('{"n": 1')
    assert whole_lines(path) == []
    path.write_text('{"n": 1}\n{"n": 2}\n{"n"')
    assert whole_lines(path) == [{"n": 1}, {"n": 2}]
    path.write_text('{"n": 1}\n{"n": 2}\n')
    assert whole_lines(path) == [{"n": 1}, {"n": 2}]
