"""
A repository whose methods are cached: they give objects of the caller's session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import desc, select

from blog.models import Post
from yokedcache import cached

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class PostRepository:
    """
    Posts, through whatever session it is given.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    @cached(ttl="5m")
    def newest_by(self, author_id: int, limit: int = 10) -> list[Post]:
        """
        An author's newest posts.
        """
        statement = (
            select(Post)
            .where(Post.author_id == author_id)
            .order_by(desc(Post.created_at))
            .limit(limit)
        )
        return list(self.session.scalars(statement))
