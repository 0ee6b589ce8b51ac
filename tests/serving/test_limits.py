from __future__ import annotations

import itertools
import json
import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import SECOND
from mainspring.errors import ServingError
from mainspring.serving import Limits, RateLimiter
from mainspring.serving.limits import json_depth

many_examples = settings(max_examples=200, deadline=None)
rates = st.floats(0.01, 1e7) | st.sampled_from([1 / 3, 0.7, 1.0, 3.0, 1000.0, 1e6])
bursts = st.integers(1, 20)
pauses = st.lists(st.integers(0, 3 * SECOND) | st.integers(0, 1000) | st.just(0), max_size=60)


class Buckets:
    """What is meant: tokens counted in fractions, of every key, for ever."""

    def __init__(self, *, token_picoseconds: int, burst: int) -> None:
        self.per_microsecond = Fraction(1_000_000, token_picoseconds)
        self.burst = burst
        self.tokens: dict[str, tuple[Fraction, int]] = {}

    def admit(self, key: str, now: int) -> bool:
        """Take a token if there is one."""
        tokens, then = self.tokens.get(key, (Fraction(self.burst), now))
        tokens = min(Fraction(self.burst), tokens + (now - then) * self.per_microsecond)
        self.tokens[key] = (tokens - (tokens >= 1), now)
        return tokens >= 1


def nested(value: Any) -> int:
    """How deep a value is, said plainly."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(nested, inner), default=0)


# Laws


@many_examples
@given(rate=rates, burst=bursts, pauses=pauses)
def test_between_any_two_instants_never_more_than_the_burst_and_the_rate(
    rate: float, burst: int, pauses: list[int]
) -> None:
    limiter = RateLimiter(per_second=rate, burst=burst)
    instants = itertools.accumulate(pauses, initial=0)
    admitted = [now for now in instants if limiter.admit("key", now) == 0.0]
    for first, begin in enumerate(admitted):
        for last, end in enumerate(admitted[first:], start=first):
            assert last - first + 1 <= burst + Fraction(rate) * Fraction(end - begin, SECOND)


@many_examples
@given(
    rate=rates, burst=bursts, requests=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, SECOND)), max_size=80)
)
def test_it_equals_buckets_of_tokens_that_forget_nothing(
    rate: float, burst: int, requests: list[tuple[str, int]]
) -> None:
    limiter = RateLimiter(per_second=rate, burst=burst)
    model = Buckets(token_picoseconds=math.ceil(Fraction(10**12) / Fraction(rate)), burst=burst)
    now = 0
    for key, pause in requests:
        now += pause
        assert (limiter.admit(key, now) == 0.0) == model.admit(key, now)


@many_examples
@given(rate=rates, burst=bursts, pauses=pauses)
def test_who_waits_as_told_is_admitted_and_who_waits_less_is_not(rate: float, burst: int, pauses: list[int]) -> None:
    limiter = RateLimiter(per_second=rate, burst=burst)
    now = 0
    for pause in pauses:
        now += pause
        wait = round(limiter.admit("key", now) * SECOND)
        if wait:
            assert limiter.admit("key", now + wait - 1) > 0.0
            now += wait
            assert limiter.admit("key", now) == 0.0


@given(rate=rates)
def test_a_token_never_takes_less_than_its_time(rate: float) -> None:
    token = Fraction(RateLimiter(per_second=rate, burst=1)._token, 10**12)  # too fine to be seen in a few microseconds
    assert 0 <= token - 1 / Fraction(rate) < Fraction(1, 10**12)


@given(rate=rates, burst=bursts)
def test_after_a_rest_a_whole_burst_is_admitted_and_no_more(rate: float, burst: int) -> None:
    limiter = RateLimiter(per_second=rate, burst=burst)
    rest = math.ceil(burst / rate * SECOND) + 1
    for now in (0, rest, 10 * rest):
        assert [limiter.admit("key", now) == 0.0 for _ in range(burst + 1)] == [True] * burst + [False]


def test_what_is_remembered_is_bounded_by_who_asked_lately_not_by_who_ever_asked() -> None:
    limiter = RateLimiter(per_second=10, burst=20)  # a bucket fills in two seconds
    for number in range(10_000):
        limiter.admit(f"key {number}", number * SECOND // 10)
        assert len(limiter) <= 4 * 10 + 1
    limiter.admit("one", 10_000 * SECOND)
    assert len(limiter) == 1


def test_threads_together_get_no_more_than_one_would() -> None:
    limiter = RateLimiter(per_second=1, burst=50)
    with ThreadPoolExecutor(4) as pool:
        waits = list(pool.map(lambda number: limiter.admit("key", number % 2), range(400)))
    assert waits.count(0.0) == 50


def test_an_earlier_instant_after_a_later_one_counts_as_that() -> None:
    limiter = RateLimiter(per_second=1, burst=1)
    assert limiter.admit("key", 0) == 0.0
    assert limiter.admit("other", 10 * SECOND) == 0.0
    assert limiter.admit("key", SECOND // 2) == 0.0
    assert limiter.admit("key", 10 * SECOND + SECOND // 2) == 0.5, "the token was taken at the latest instant"


text_with_marks = st.text('"\\[]{}a ,:\n', max_size=8)
documents = st.recursive(
    st.none() | st.integers() | text_with_marks,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text_with_marks, inner, max_size=3),
    max_leaves=20,
)


@many_examples
@given(document=documents)
def test_the_depth_of_a_json_text_is_that_of_its_value(document: Any) -> None:
    assert json_depth(json.dumps(document).encode()) == nested(document)


@given(document=documents, cut=st.integers(0, 100), tail=st.binary(max_size=10))
def test_the_depth_of_what_is_no_json_is_at_least_what_a_parser_meets(document: Any, cut: int, tail: bytes) -> None:
    text = json.dumps(document).encode()[:cut]
    in_string, escaped, depth, deepest = False, False, 0, 0
    for byte in text:  # up to the cut it is JSON
        if in_string:
            in_string = escaped or byte != ord('"')
            escaped = not escaped and byte == ord("\\")
        elif byte == ord('"'):
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    assert json_depth(text + tail) >= deepest


# Cases


@pytest.mark.parametrize("name", ["body_bytes", "rows_per_request", "json_depth", "requests_per_second", "burst"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 1e-6])
def test_a_limit_that_cannot_be_kept_is_refused(name: str, value: float) -> None:
    with pytest.raises(ServingError) as raised:
        Limits(**{name: value})
    assert raised.value.code == "SERVE_LIMITS"
    assert name.replace("_", " ") in raised.value.problem


def test_a_limiter_is_held_to_the_same_limits() -> None:
    with pytest.raises(ServingError, match="burst cannot be 0"):
        RateLimiter(per_second=1, burst=0)
    with pytest.raises(ServingError, match=r"burst cannot be 1\.5.*whole number of at least 1"):
        RateLimiter(per_second=1, burst=1.5)  # type: ignore[arg-type]
    assert RateLimiter(per_second=1 / 86_400, burst=10**9).admit("key", 0) == 0.0


def test_a_body_is_refused_for_its_size_and_its_depth_alone() -> None:
    limits = Limits(body_bytes=100, json_depth=3, rows_per_request=2)
    assert limits.refuse_body(b"x" * 100) is None
    for body, words in ((b"x" * 101, "more than 100 bytes"), (b"[[[[]]]]", "deeper than 3 levels")):
        refused = limits.refuse_body(body)
        assert refused is not None
        assert refused.code == "SERVE_BODY"
        assert words in str(refused)
    assert limits.refuse_body(b'[[[]],{"a":["[[[["]},[[]]]') is None
    assert limits.refuse_rows(2) is None
    assert "has 3 rows; one may have 2" in str(limits.refuse_rows(3))


def test_a_refusal_tells_the_rate_and_when_to_come_again() -> None:
    limiter = RateLimiter(per_second=2.5, burst=1)
    limiter.admit("key", 0)
    wait = limiter.admit("key", 0)
    assert wait == 0.4
    assert str(limiter.refusal(wait)) == (
        "This key may send 2.5 requests a second, 1 at once. Try again in 0.400 s, or send many rows in one request. "
        "[SERVE_RATE]"
    )
