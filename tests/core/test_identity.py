"""Ids reach the service unchanged or mapped, never as another user's path."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recallrai_integrations import InvalidInputError, MissingIdentityError
from recallrai_integrations.identity import decode_id, encode_id, thread_id_text, user_id_text

SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
short_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=15)


@pytest.mark.parametrize("plain", ["ada", "ada-7", "a.b_c-D", "...", "9"])
def test_ids_of_the_safe_alphabet_are_sent_unchanged(plain: str) -> None:
    assert encode_id(plain) == plain


@pytest.mark.parametrize(
    "hostile", ["../bob", "a/b?c#d", "..", ".", "a b", "ada@example.com", "🙂", "%2e%2e", "ä"]
)
def test_hostile_ids_become_one_safe_path_segment(hostile: str) -> None:
    sent = encode_id(hostile)
    assert set(sent) <= SAFE
    assert sent not in {".", ".."}
    assert decode_id(sent) == hostile


def test_an_id_that_looks_like_a_mapped_one_does_not_collide_with_it() -> None:
    mapped = encode_id("a/b")
    assert encode_id(mapped) != mapped
    assert decode_id(encode_id(mapped)) == mapped


@given(short_text)
def test_every_id_comes_back_from_its_sent_form(user_id: str) -> None:
    assert decode_id(encode_id(user_id)) == user_id
    assert set(encode_id(user_id)) <= SAFE


@given(short_text, short_text)
def test_no_two_ids_share_a_form(one: str, other: str) -> None:
    assert (encode_id(one) == encode_id(other)) == (one == other)


@pytest.mark.parametrize("missing", [None, ""])
def test_a_missing_user_id_is_an_error_that_says_how_to_pass_one(missing: object) -> None:
    with pytest.raises(MissingIdentityError, match="user_id="):
        user_id_text(missing)


@pytest.mark.parametrize("wrong", [b"ada", 1.5, True, ["ada"], "x" * 10_000, "half \ud800"])
def test_an_id_that_cannot_be_sent_is_refused_before_any_request(wrong: object) -> None:
    with pytest.raises(InvalidInputError):
        user_id_text(wrong)


@pytest.mark.parametrize("wrong", ["", b"t", "x" * 10_000, "half \ud800"])
def test_a_thread_id_that_cannot_be_sent_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidInputError):
        thread_id_text(wrong)


def test_numbers_and_uuids_are_written_out() -> None:
    one = uuid.uuid4()
    assert user_id_text(42) == "42"
    assert user_id_text(one) == thread_id_text(one) == str(one)
