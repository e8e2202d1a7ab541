"""
Cached functions: what they read is noted while they run, no key or tag is named.

`.uncached` is the function itself, for comparison.
"""

from __future__ import annotations

from sqlalchemy import func, select

from blog import queries
from blog.models import Comment, Post, User
from blog.sessions import AsyncPlainSession, PlainSession
from yokedcache import cached


@cached(ttl="5m")
def dashboard() -> dict[str, int]:
    """
    Count everything, for the editors' first page.
    """
    with PlainSession() as session:
        return {
            "users": session.scalar(select(func.count()).select_from(User)) or 0,
            "active": session.scalar(select(func.count()).where(User.is_active)) or 0,
            "posts": session.scalar(select(func.count()).select_from(Post)) or 0,
            "published": session.scalar(select(func.count()).where(Post.published))
            or 0,
            "comments": session.scalar(select(func.count()).select_from(Comment)) or 0,
        }


@cached(ttl="5m")
async def profile(user_id: int) -> dict[str, object]:
    """
    Describe one user, over the async driver.
    """
    async with AsyncPlainSession() as session:
        user = await session.get_one(User, user_id)
        posts = await session.scalar(
            select(func.count()).select_from(Post).where(Post.author_id == user_id)
        )
        return {"name": user.full_name, "posts": posts}


@cached(ttl="5m")
async def tag_report() -> list[tuple[str, int]]:
    """
    The tag cloud, over the async driver.
    """
    async with AsyncPlainSession() as session:
        return await session.run_sync(queries.tag_cloud)


@cached(ttl="5m")
def author_report() -> list[tuple[str, int]]:
    """
    The top authors, for callers in threads.
    """
    with PlainSession() as session:
        return queries.top_authors(session)
