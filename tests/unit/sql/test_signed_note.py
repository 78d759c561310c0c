"""Signed notes and our statements: written in one way, and anything else refused."""

from __future__ import annotations

import base64
import re
import uuid
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.sql.checkpoint.errors import KeyUnusable, NotANote
from celerytrail.sql.checkpoint.note_keys import (
    SigningKey,
    VerifierKey,
    parse_signing_key,
    parse_verifier_key,
)
from celerytrail.sql.checkpoint.signed_note import SignedNote, parse
from celerytrail.sql.checkpoint.statement import (
    ChainChange,
    Checkpoint,
    KeyChange,
    NewEpoch,
    Statement,
    check_words,
    parse_statement,
)
from celerytrail.sql.head_file import Head

KEY = SigningKey("ledger.example", bytes(range(32)))
WITNESS = SigningKey("witness.example", bytes(range(32, 64)))
LEDGER = uuid.UUID("11111111-2222-3333-4444-555555555555")
HASH = bytes.fromhex("e0d8fb2846aa7a50d48a332ef9a3cba7ba27b464df48b9d5ef94cf2ab37cbce9")
TIME = datetime(2026, 11, 22, 0, 0, 1, tzinfo=timezone.utc)
CHECKPOINT = Checkpoint(LEDGER, 1, 1, TIME, (Head(0, 1, HASH),))
CHANGE = KeyChange(LEDGER, TIME, KEY.verifier, WITNESS.verifier)
EPOCH = NewEpoch(
    LEDGER,
    1,
    2,
    TIME,
    "ann",
    "restored of a backup — zoë",
    0,
    (
        ChainChange(Head(0, 9, HASH), Head(0, 4, bytes(32)), Head(0, 4, bytes(32))),
        ChainChange(Head(3, 0, HASH), Head(3, 0, HASH), Head(3, 1, bytes(32))),
    ),
)
DOCUMENT = Path(__file__).parents[3] / "docs" / "checkpoints.md"

heads = st.builds(
    Head, st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32)
)
checkpoints = st.builds(
    Checkpoint,
    st.uuids(),
    st.integers(0, 2**15 - 1),
    st.integers(1, 2**31 - 1),
    st.datetimes(timezones=st.just(timezone.utc)),
    st.lists(heads, min_size=1, max_size=4, unique_by=lambda head: head.chain).map(
        lambda found: tuple(sorted(found, key=lambda head: head.chain))
    ),
)


def worked_example() -> tuple[str, str, str]:
    """The public keys of ledger and witness, and the note, as the document prints them."""
    found = re.findall(
        r"^```\w*\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (keys,) = [one for one in found if one.startswith("ledger.example+")]
    (note,) = [one for one in found if one.startswith("celerytrail/checkpoint/v1\nledger 1111")]
    ledger, witness = keys.split()
    return ledger, witness, note


def test_the_worked_example_is_what_is_written():
    ledger, witness, note = worked_example()
    assert (ledger, witness) == (str(KEY.verifier), str(WITNESS.verifier))
    assert note == str(WITNESS.add_to(KEY.sign(str(CHECKPOINT))))


def test_the_worked_example_can_be_checked_with_nothing_of_ours():
    ledger, witness, note = worked_example()
    text, _, lines = note.partition("\n\n")
    for key, line in zip((ledger, witness), lines.splitlines(), strict=True):
        name, key_hash, encoded = key.split("+", 2)
        raw = base64.b64decode(encoded)
        assert sha256(name.encode() + b"\n" + raw).hexdigest()[:8] == key_hash
        dash, signer, signature = line.split(" ")
        assert (dash, signer) == ("—", name)
        signed = base64.b64decode(signature)
        assert signed[:4].hex() == key_hash
        Ed25519PublicKey.from_public_bytes(raw[1:]).verify(signed[4:], f"{text}\n".encode())


@pytest.mark.parametrize("statement", [CHECKPOINT, CHANGE, EPOCH], ids=["heads", "keys", "epoch"])
def test_what_is_written_is_read_again(statement: Statement):
    note = parse(str(WITNESS.add_to(KEY.sign(str(statement)))).encode())
    assert parse_statement(note.text) == statement
    assert KEY.verifier.signed(note)
    assert WITNESS.verifier.signed(note)
    assert not VerifierKey("other", KEY.verifier.public).signed(note)


@given(checkpoints)
def test_any_checkpoint_is_read_again(checkpoint: Checkpoint):
    assert parse_statement(str(checkpoint)) == checkpoint


@given(st.data(), st.sampled_from([CHECKPOINT, CHANGE, EPOCH]))
def test_any_mutation_of_a_note_is_refused_or_signed_by_nobody(
    data: st.DataObject, said: Statement
):
    true = str(KEY.sign(str(said))).encode()
    at = data.draw(st.integers(0, len(true)))
    until = data.draw(st.integers(at, min(len(true), at + 4)))
    mutated = true[:at] + data.draw(st.binary(max_size=4)) + true[until:]
    try:
        note = parse(mutated)
    except NotANote:
        return
    assert str(note).encode() == mutated
    assert (mutated == true) is KEY.verifier.signed(note)


@given(st.data(), st.sampled_from([CHECKPOINT, CHANGE, EPOCH]))
def test_any_mutation_of_a_statement_is_refused_or_says_what_it_says(
    data: st.DataObject, said: Statement
):
    true = str(said)
    at = data.draw(st.integers(0, len(true)))
    until = data.draw(st.integers(at, min(len(true), at + 3)))
    new = data.draw(st.text(alphabet=" \n0123456789abcdefilnpt-+:.TZ=/é٣", max_size=4))
    mutated = true[:at] + new + true[until:]
    try:
        understood = parse_statement(mutated)
    except NotANote:
        return
    assert str(understood) == mutated
    assert (understood == said) is (mutated == true)


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("epoch 1\n", "epoch 01\n"),
        ("epoch 1\n", "epoch 1 \n"),
        ("epoch 1\n", "epoch +1\n"),
        ("epoch 1\n", "epoch 0\n"),
        ("epoch 1\n", "epoch ١\n"),
        ("epoch 1\n", ""),
        ("epoch 1\n", "epoch 1\nepoch 1\n"),
        ("epoch 1\n", "epoch 1\nmore 1\n"),
        ("format 1\nepoch 1\n", "epoch 1\nformat 1\n"),
        ("00:00:01.000000Z", "00:00:01Z"),
        ("00:00:01.000000Z", "00:00:01.000000+00:00"),
        ("11111111-2222", "{11111111-2222"),
        ("11111111-2222-", "111111112222-"),
        ("chain 0 1 ", "chain 0 1  "),
        ("chain 0 1 ", "chain 0 9223372036854775808 "),
        ("vOk=\n", "vOl=\n"),
        ("vOk=\n", "vOk=\n\n"),
        ("celerytrail/checkpoint/v1", "celerytrail/checkpoint/v2"),
    ],
)
def test_a_statement_is_written_in_one_way(line: str, other: str):
    text = str(CHECKPOINT)
    assert line in text
    with pytest.raises(NotANote):
        parse_statement(text.replace(line, other))


def test_chains_stand_once_and_in_order():
    first, second = Head(0, 1, HASH), Head(1, 1, HASH)
    parse_statement(str(replace(CHECKPOINT, chains=(first, second))))
    for chains in ((second, first), (first, first), ()):
        with pytest.raises(NotANote):
            parse_statement(str(replace(CHECKPOINT, chains=chains)))


def test_an_epoch_keeps_no_more_than_there_was():
    kept = ChainChange(Head(0, 3, HASH), Head(0, 4, HASH), Head(0, 9, HASH))
    with pytest.raises(NotANote, match="keeps more"):
        parse_statement(str(replace(EPOCH, chains=(kept,))))


@pytest.mark.parametrize("words", ["", " a", "a\nepoch 9", "a\tb", "x" * 501, "a\u2028b"])
def test_words_that_do_not_fit_into_a_line_are_refused(words: str):
    with pytest.raises(NotANote):
        check_words("the reason", words)


def test_notes_of_other_forms_are_refused():
    note = KEY.sign(str(CHECKPOINT))
    twice = note.with_signature(note.signatures[0])
    unsigned = SignedNote(note.text, ())
    for data in (
        b"",
        b"\n\n",
        str(twice).encode(),
        str(unsigned).encode(),
        str(note).encode()[:-1],
        str(note).encode() + b"\n",
        str(note).replace("\n", "\r\n").encode(),
        str(note).encode("utf-16"),
        str(note).replace("— ", "- ").encode(),
        b"x" * 300_000,
    ):
        with pytest.raises(NotANote):
            parse(data)


def test_keys_are_read_as_they_are_written_and_not_otherwise():
    text, public = KEY.private_text(), str(KEY.verifier)
    assert parse_signing_key(text) == KEY
    assert parse_verifier_key(public) == KEY.verifier
    for broken in (text[:-2], text.replace("d39e", "d39f"), f"{text}\n{text}", public, ""):
        with pytest.raises(KeyUnusable) as refused:
            parse_signing_key(broken)
        assert "AQABAg" not in str(refused.value)
    for broken in (public[:-1], public.replace("d39e", "d39f"), text, public.replace("+", " ")):
        with pytest.raises(KeyUnusable):
            parse_verifier_key(broken)


def test_no_text_of_a_key_but_one_holds_its_seed():
    assert base64.b64encode(KEY.seed).decode() not in repr(KEY) + str(KEY)
    assert KEY.seed.hex() not in repr(KEY)
