"""
What a function gave in one process answers for it in others, and a change ends it in all.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.shared.functions import Copy, GoneError, Point
from tests.support.models import User
from yokedcache import MISS, cached
from yokedcache.runtime.drive import run
from yokedcache.shared.tagging import EVERYTHING
from yokedcache.stores.redis.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session, sessionmaker

    from tests.services.redis import RedisServer
    from yokedcache import YokedCache

Caches = "tuple[YokedCache, YokedCache]"


@pytest.fixture(autouse=True)
def no_modules_left() -> Iterator[None]:
    yield
    for name in [n for n in sys.modules if n.startswith("shared_app_")]:
        del sys.modules[name]


def copies(caches: Caches, body: Any, **options: Any) -> tuple[Copy, Copy]:
    one, other = (Copy(cache, "f", body, **options) for cache in caches)
    return one, other


@pytest.mark.parametrize(
    "value",
    [1, None, "", [1, [2]], {"a": (1, {2})}, Point(1, [2]), b"x" * 100_000],
    ids=lambda value: type(value).__name__,
)
def test_a_result_answers_for_everyone(caches: Caches, value: Any) -> None:
    one, other = copies(caches, lambda _: value)
    assert one(1) == other(1) == one(1) == value
    assert type(other(1)) is type(value)
    assert one.calls == [1]
    assert other.calls == []


def test_each_caller_has_its_own(caches: Caches) -> None:
    one, other = copies(caches, lambda _: [1])
    one(1)
    other(1).append(2)
    other(1).append(3)
    assert one(1) == other(1) == [1]


@pytest.mark.parametrize("tags", [["t"], ["u:{n}", "t"]])
def test_a_tag_ends_it_in_every_process(caches: Caches, tags: list[str]) -> None:
    one, other = copies(caches, lambda n: -n, tags=tags)
    for round_ in range(3):
        assert one(1) == other(1) == -1
        assert len(one.calls) + len(other.calls) == round_ + 1
        caches[round_ % 2].sync.invalidate_tags(tags[0].format(n=1))


def test_a_result_names_tags_that_nobody_knew_before(caches: Caches) -> None:
    one, other = copies(
        caches, lambda n: {"id": n * 10}, result_tags=lambda r: [f"row:{r['id']}"]
    )
    for n in (1, 2):
        one(n)
    assert [other(1), other(2)] == [{"id": 10}, {"id": 20}]
    assert other.calls == []
    caches[1].sync.invalidate_tags("row:10")
    one(1), one(2)
    assert one.calls == [1, 2, 1]


def test_a_tag_that_is_invalidated_while_it_loads(caches: Caches) -> None:
    state = ["old"]

    def body(_: int) -> str:
        read = state[0]
        state[0] = "new"
        caches[1].sync.invalidate_tags("t")
        return read

    one, other = copies(caches, body, tags=["t"])
    assert one(1) == "old"
    assert other(1) == "new"


def test_a_tag_of_a_result_that_is_invalidated_while_it_loads(caches: Caches) -> None:
    state = ["old"]
    # it is there, and this process hasn't met it
    assert caches[1].sync.set("else", 1, tags=["row:1"])

    def body(_: int) -> str:
        read = state[0]
        state[0] = "new"
        caches[1].sync.invalidate_tags("row:1")
        return read

    one, other = copies(caches, body, result_tags=lambda _: ["row:1"])
    assert one(1) == "old"
    assert other(1) == "new"


def test_a_table_whose_version_is_lost_costs_one_load(
    redis_caches: Caches, server: RedisServer, maker: sessionmaker[Session]
) -> None:
    def name(n: int) -> Any:
        with maker() as session:
            user = session.get(User, n)
            return user and user.name

    one, _ = copies(redis_caches, name)
    assert one(1) == one(1) == "old"
    assert len(one.calls) == 1
    layout = Layout(redis_caches[0].settings.prefix)
    (kept,) = layout.tags([EVERYTHING]).keys
    for tag in server.client().keys(f"{layout.prefix}:t:*"):
        if tag != kept:
            server.say("DEL", tag)
    before = redis_caches[0].stats().total.refusals
    # it isn't asked which table it reads, but that is known of the call before
    assert one(1) == one(1) == one(1) == "old"
    assert len(one.calls) == 2
    assert redis_caches[0].stats().total.refusals == before


def test_more_tags_than_can_be_asked_for_are_not_kept(caches: Caches) -> None:
    many = [f"tag {number}" for number in range(300)]
    one, _ = copies(caches, lambda n: n, tags=many)
    assert [one(1), one(1)] == [1, 1]
    assert one.calls == [1, 1]
    assert not caches[0].sync.set("a", 1, tags=many)
    assert caches[0].sync.get("a") is None
    assert caches[0].stats().total.refusals["too_many_tags"] == 3
    caches[1].sync.invalidate_tags(many)


def test_a_kept_exception_is_raised_everywhere(caches: Caches) -> None:
    def body(n: int) -> Any:
        raise GoneError("gone", n)

    one, other = copies(caches, body, errors={GoneError: 60})
    for copy in (one, other, one, other):
        with pytest.raises(GoneError) as caught:
            copy(1)
        assert caught.value.args == ("gone", 1)
    assert one.calls + other.calls == [1]


def test_other_code_has_other_keys(caches: Caches) -> None:
    one = Copy(caches[0], "f", lambda n: n)
    other = Copy(caches[1], "f", lambda n: n)
    one.be_here()
    name = one.function.handle.core.shared_name()
    other.be_here()
    assert other.function.handle.core.shared_name() == name
    from yokedcache.prints import code_print

    assert code_print(lambda n: n + 1) != code_print(lambda n: n + 2)
    assert code_print(lambda n: n + 1) == code_print(lambda n: n + 1)
    assert code_print(lambda n: n in {1, 2}) == code_print(lambda n: n in {2, 1})


def test_other_tags_have_other_keys(caches: Caches) -> None:
    one = Copy(caches[0], "f", lambda n: n)
    other = Copy(caches[1], "f", lambda n: n, tags=["t"])
    one(1), other(1)
    assert [one.calls, other.calls] == [[1], [1]]
    caches[0].sync.invalidate_tags("t")
    other(1)
    assert other.calls == [1, 1]


def test_a_local_function_is_cached_for_its_own_process(caches: Caches) -> None:
    one, other = caches
    calls = []

    def made(cache: YokedCache, add: int) -> Any:
        @cached(cache=cache)
        def plus(n: int) -> int:
            calls.append(add)
            return n + add

        return plus

    functions = [made(one, 1), made(one, 2), made(other, 3)]
    for function, expected in zip(functions * 2, [11, 12, 13] * 2, strict=True):
        assert function(10) == expected
    assert calls == [1, 2, 3]


def test_what_has_no_form_as_bytes_is_not_kept(caches: Caches) -> None:
    one, other = copies(caches, lambda _: threading.local)
    assert one(1) is other(1) is threading.local
    one, other = copies(caches, lambda _: lambda: 1)
    one(1), one(1)
    assert one.calls == [1, 1]


def test_a_single_answer_is_dropped_everywhere(caches: Caches) -> None:
    one, other = copies(caches, lambda n: n)
    one(1), one(2)
    assert other(1) == 1
    other.be_here()
    assert other.function.peek(1) == 1
    assert other.function.invalidate(1)
    assert other.function.peek(1) is MISS
    one(1), one(2)
    assert one.calls == [1, 2, 1]


def test_a_refresh_is_seen_by_everyone(caches: Caches) -> None:
    state = [0]

    def body(_: int) -> int:
        state[0] += 1
        return state[0]

    one, other = copies(caches, body)
    assert one(1) == other(1) == 1
    other.be_here()
    assert other.function.refresh(1) == 2
    assert one(1) == other(1) == 2


def test_stale_answers_are_shared_and_renewed(caches: Caches) -> None:
    state = [0]

    def body(_: int) -> int:
        state[0] += 1
        return state[0]

    one, other = copies(caches, body, ttl=0.05, stale=60, tags=["t"])
    assert one(1) == 1
    while caches[0].explain(one.function, 1).reason == "fresh":
        threading.Event().wait(0.01)
    assert other(1) == 1
    while other(1) == 1:
        threading.Event().wait(0.01)
    caches[0].sync.invalidate_tags("t")
    assert other(1) > 2


async def test_concurrent_callers_load_once(caches: Caches) -> None:
    one, other = copies(caches, lambda n: n)
    one.be_here()
    assert set(await asyncio.gather(*(one.afunction(1) for _ in range(200)))) == {1}
    assert len(one.calls) == 1
    other.be_here()
    assert set(await asyncio.gather(*(other.afunction(1) for _ in range(200)))) == {1}
    assert other.calls == []


async def test_look_ups_of_one_turn_go_in_one_packet(
    server: RedisServer, redis_caches: Caches
) -> None:
    one, _ = copies(redis_caches, lambda n: n)
    one.be_here()
    await asyncio.gather(*(one.afunction(n) for n in range(50)))
    before = int(server.info("stats")["total_net_input_bytes"])
    packets = int(server.info("stats")["total_commands_processed"])
    connections = int(server.info("stats")["total_connections_received"])
    await asyncio.gather(*(one.afunction(n) for n in range(50) for _ in range(4)))
    after = server.info("stats")
    assert int(after["total_net_input_bytes"]) - before < 50 * 400
    # GETEX and MGET for each of 50, asked once where four ask, and what `info` sends
    assert int(after["total_commands_processed"]) - packets < 50 * 2 * 3
    assert int(after["total_connections_received"]) - connections < 5
    assert len(one.calls) == 50


def test_hole_02_a_waiter_sees_what_was_committed_before_it_began(
    caches: Caches,
) -> None:
    state = ["old"]
    one, other = copies(caches, lambda _: state[0], tags=["t"])
    one(2)  # so that the connection is there
    one.begun.clear()
    one.gate.clear()
    read: list[Any] = []
    real = one.function.handle.core.function

    def slow(n: int) -> Any:
        found = state[0]
        real(n)
        return found

    one.function.handle.core.function = slow
    first = threading.Thread(target=lambda: read.append(one(1)))
    first.start()
    assert one.begun.wait(20)
    state[0] = "new"
    caches[1].sync.invalidate_tags("t")  # another process: nobody here is told
    second = threading.Thread(target=lambda: read.append(one(1)))
    second.start()
    while not caches[0].machine.terminal._waiting:
        threading.Event().wait(0.005)
    one.gate.set()
    first.join(20)
    second.join(20)
    assert read == ["old", "new"]
    assert other(1) == "new"


def test_an_answer_is_served_to_no_one_who_began_later(
    caches: Callable[..., Any],
) -> None:
    one, _ = caches  # type: ignore[misc]
    store = one.machine.store
    assert one.sync.set("a", 1)
    key = ("keys", "a")
    ticket = one.machine.terminal.ticket()
    assert store.near(key, ticket) is None
    assert run(store.look(key, ticket), store.allowance().here) is not None
    assert store.near(key, ticket) is not None
    assert store.near(key, one.machine.terminal.ticket()) is None
