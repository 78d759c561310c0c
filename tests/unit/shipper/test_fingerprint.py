"""The fingerprint of an exception: the same for the same fault, and nothing of what it said in it."""

from __future__ import annotations

import sys
import traceback
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.shipper.fingerprint import fingerprint

CELERY = (
    '  File "{base}/site-packages/celery/app/trace.py", line 453, in trace_task\n'
    "    R = retval = fun(*args, **kwargs)\n"
    "                 ^^^^^^^^^^^^^^^^^^^^\n"
)
PLACE = ("/srv/releases/20260101", "/opt/venv/lib/python3.11")


def told(
    *frames: tuple[str, str], said: str = "ValueError: no", base: str = PLACE[1], line: int = 7
) -> str:
    """A traceback as Celery makes it: its own frame, then those of the task."""
    return "".join(
        [
            "Traceback (most recent call last):\n",
            CELERY.format(base=base),
            *(
                f'  File "{path}", line {line + number}, in {name}\n    some(code)\n'
                for number, (path, name) in enumerate(frames)
            ),
            said,
            "\n",
        ]
    )


PAY = ("/srv/shop/tasks.py", "pay")
CHARGE = ("/srv/shop/cards.py", "charge")


def test_it_is_what_is_written_down() -> None:
    hashed = b"celerytrail/failure/v1\0ValueError\0shop/tasks.py\0pay\0shop/cards.py\0charge\0"
    whole = fingerprint("ValueError", told(PAY, CHARGE))
    assert whole == sha256(hashed).hexdigest()[:16] == "d1ca42477d144c1d"
    alone = sha256(b"celerytrail/failure/v1\0ValueError\0").hexdigest()[:16]
    assert fingerprint("ValueError") == alone


words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=60)
lines = st.lists(words.map(lambda word: f"x{word}"), max_size=3).map("\n".join)


@given(
    lines, st.integers(1, 99_999), st.sampled_from(["/usr/lib/python3", "/opt/x/lib/python3.13"])
)
def test_what_it_says_and_where_it_is_installed_does_not_count(
    said: str, line: int, base: str
) -> None:
    again = told(PAY, CHARGE, said=f"ValueError: {said}", line=line, base=base)
    assert fingerprint("ValueError", again) == fingerprint("ValueError", told(PAY, CHARGE))


@given(
    st.lists(st.sampled_from([PAY, CHARGE, ("/srv/shop/db.py", "get")]), unique=True, min_size=1)
)
def test_the_way_it_took_counts(frames: list[tuple[str, str]]) -> None:
    same = frames == [PAY, CHARGE]
    found = fingerprint("ValueError", told(*frames)) == fingerprint("ValueError", told(PAY, CHARGE))
    assert found is same


def test_class_function_file_and_folder_tell_faults_apart() -> None:
    of_all = {
        fingerprint(kind, told(PAY, frame))
        for kind in ("ValueError", "shop.cards.Refused")
        for frame in (
            ("/srv/shop/cards.py", "charge"),
            ("/srv/shop/cards.py", "refund"),
            ("/srv/shop/banks.py", "charge"),
            ("/srv/bank/cards.py", "charge"),
        )
    }
    assert len(of_all) == 8


def test_numbers_and_ids_of_folders_do_not_count() -> None:
    found = {
        fingerprint("ValueError", told((f"/srv/{folder}/tasks.py", "pay")))
        for folder in ("20260101", "release", "20270202", "3")
    }
    assert len(found) == 2
    assert fingerprint("E", told(("/x/v-deadbeef01/a.py", "f"))) == fingerprint(
        "E", told(("/y/v-0123456789/a.py", "f"))
    )


def test_windows_has_the_same() -> None:
    there = told(("C:\\srv\\shop\\tasks.py", "pay"), ("C:\\srv\\shop\\cards.py", "charge"))
    assert fingerprint("ValueError", there) == fingerprint("ValueError", told(PAY, CHARGE))


def test_libraries_do_not_count_beside_own_code() -> None:
    library = ("/opt/venv/lib/python3.11/site-packages/requests/api.py", "get")
    standard = ("/usr/lib/python3.11/json/decoder.py", "decode")
    frozen = ("<frozen importlib._bootstrap>", "_gcd_import")
    assert fingerprint("E", told(PAY, library, standard, frozen)) == fingerprint("E", told(PAY))


def test_an_application_that_is_installed_as_a_package_counts() -> None:
    base = "/usr/local/lib/python3.11/site-packages"
    one = fingerprint("E", told((f"{base}/shop/tasks.py", "pay")))
    other = fingerprint("E", told((f"{base}/shop/tasks.py", "refund")))
    assert len({one, other, fingerprint("E")}) == 3
    # Celery itself still does not.
    again = told((f"{base}/shop/tasks.py", "pay"), (f"{base}/celery/app/task.py", "retry"))
    assert fingerprint("E", again) == one


def test_depth_of_recursion_and_comprehensions_do_not_count() -> None:
    deep = told(PAY, *[CHARGE] * 900)
    inlined = told(PAY, ("/srv/shop/tasks.py", "<listcomp>"), CHARGE)
    assert {fingerprint("E", deep), fingerprint("E", inlined)} == {
        fingerprint("E", told(PAY, CHARGE))
    }


def test_what_it_was_raised_from_does_not_count() -> None:
    for joint in (
        "The above exception was the direct cause of the following exception:",
        "During handling of the above exception, another exception occurred:",
    ):
        whole = f"{told(CHARGE, said='KeyError: 1')}\n{joint}\n\n{told(PAY)}"
        assert fingerprint("E", whole) == fingerprint("E", told(PAY))


def test_a_message_that_looks_like_frames_is_none() -> None:
    said = 'ValueError: x\n  File "/home/ann/secret.py", line 1, in hunter2\n    more'
    assert fingerprint("ValueError", told(PAY, said=said)) == fingerprint("ValueError", told(PAY))


def test_a_front_that_was_cut_off_and_other_things_are_borne() -> None:
    text = told(("/srv/shop/first.py", "begin"), PAY)
    cut = "[cut here] ..." + text[text.index(", in begin") :]
    assert fingerprint("E", cut) == fingerprint("E", told(PAY))
    assert fingerprint("E", cut.encode()) == fingerprint("E", cut)
    for odd in ("", "\n", b"\xff", 7, "no traceback at all", "  File"):
        assert fingerprint("E", odd) == fingerprint("E")


@given(st.text(), st.one_of(st.text(), st.binary(), st.none()))
def test_anything_gives_16_hex_digits(kind: str, text: str | bytes | None) -> None:
    found = fingerprint(kind, text)
    assert len(found) == 16
    assert set(found) <= set("0123456789abcdef")


def _raised(number: int) -> str:
    try:
        _raise(number)
    except ValueError:
        return traceback.format_exc()
    raise AssertionError


def _raise(number: int) -> None:
    raise ValueError(number)


def test_what_python_itself_writes_is_understood() -> None:
    found = {fingerprint("ValueError", _raised(number)) for number in range(3)}
    assert found == {
        fingerprint(
            "ValueError",
            told((__file__, "_raised"), (__file__, "_raise")),
        )
    }


def test_a_group_of_exceptions_is_where_it_was_raised() -> None:
    if sys.version_info < (3, 11):
        return
    try:
        _group()
    except Exception:  # noqa: BLE001 (a name that Python 3.10 does not know)
        text = traceback.format_exc()
    here = sys._getframe().f_code.co_name
    assert text.startswith("  + Exception Group")
    assert fingerprint("ExceptionGroup", text) == fingerprint(
        "ExceptionGroup", told((__file__, here), (__file__, "_group"))
    )


def _group() -> None:
    import builtins

    raise builtins.__dict__["ExceptionGroup"]("several", [ValueError(1), KeyError(2)])
