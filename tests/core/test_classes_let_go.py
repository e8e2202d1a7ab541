"""
What is learnt of classes keeps none alive: each sessionmaker makes one of its own.
"""

from __future__ import annotations

import gc
from weakref import ref

from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from yokedcache import YokedCache, cached
from yokedcache.core.classes import per_class


def test_facts_about_classes_keep_none_alive() -> None:
    asked: list[tuple[type, ...]] = []

    @per_class
    def fact(*classes: type) -> int:
        asked.append(classes)
        return len(asked)

    one, other = type("One", (), {}), type("Other", (), {})
    assert [fact(one), fact(other), fact(one), fact(one, other)] == [1, 2, 1, 3]
    assert fact(one, other) == 3
    gone = ref(one)
    del one, other
    asked.clear()
    gc.collect()
    assert gone() is None


def test_a_function_that_was_handed_a_session_keeps_no_sessionmaker_alive() -> None:
    cache = YokedCache()

    @cached(cache=cache, vary=None)
    def size(session: object, number: int) -> int:
        return number

    maker = sessionmaker(create_engine("sqlite://"))
    cache.attach(maker)
    with maker() as session:
        assert [size(session, 3), size(session, 3)] == [3, 3]
    gone = [ref(type(session)), ref(maker.kw["bind"])]
    maker.kw["bind"].dispose()
    del maker, session
    gc.collect()
    assert [kept() for kept in gone] == [None, None]
    cache.sync.close()
