"""
What databases add to writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from tests.support.databases import twin
from tests.support.looking import RENAMING_TEXT, name
from tests.support.models import Post

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache


@pytest.mark.parametrize("same", [True, False])
def test_a_trigger_counts_whatever_engine_made_it(
    blog: Blog, cache: YokedCache, same: bool
) -> None:
    other = blog.engine if same else twin(blog.engine)
    maker = blog.attached(cache)
    retitle = update(Post).where(Post.id == 11)
    with blog.engine.begin() as connection:
        connection.execute(retitle.values(title="a"))
    with other.begin() as connection:
        _make_trigger(connection)
        # asked while the trigger isn't committed: what could be learnt is the old
        assert name(maker) == "ann"
    assert name(maker) == "ann"
    with blog.engine.begin() as connection:
        connection.execute(retitle.values(title="b"))
    assert name(maker) == "new"
    other.dispose()


def _make_trigger(connection: Any) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            f"CREATE TRIGGER t AFTER UPDATE ON posts BEGIN {RENAMING_TEXT}; END"
        )
        return
    if connection.dialect.name == "mariadb":
        connection.exec_driver_sql(
            f"CREATE TRIGGER t AFTER UPDATE ON posts FOR EACH ROW {RENAMING_TEXT}"
        )
        return
    connection.exec_driver_sql(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$BEGIN {RENAMING_TEXT}; RETURN NEW; END$$"
    )
    connection.exec_driver_sql(
        "CREATE TRIGGER t AFTER UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION f()"
    )
