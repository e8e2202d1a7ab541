"""
What the blog's pages ask the database: ordinary SQLAlchemy, by any session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import desc, func, select
from sqlalchemy.orm import selectinload

from blog.models import Comment, Post, Tag, User, post_tags

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def front_page(session: Session, limit: int = 20) -> list[Any]:
    """
    The newest posts with their authors and tags, as objects.
    """
    statement = (
        select(Post)
        .where(Post.published)
        .options(selectinload(Post.author), selectinload(Post.tags))
        .order_by(desc(Post.created_at))
        .limit(limit)
    )
    return [
        (post.id, post.title, post.author.full_name, [tag.name for tag in post.tags])
        for post in session.scalars(statement)
    ]


def post_page(session: Session, post_id: int) -> tuple[Any, ...]:
    """
    One post by its key, everything else loaded lazily.
    """
    post = session.get_one(Post, post_id)
    comments = [(comment.body, comment.author.username) for comment in post.comments]
    return post.title, post.author.full_name, [tag.name for tag in post.tags], comments


def top_authors(session: Session, limit: int = 10) -> list[Any]:
    """
    Who got the most comments: two joins over everything.
    """
    comments = func.count(Comment.id).label("comments")
    statement = (
        select(User.username, comments)
        .join(Post, Post.author_id == User.id)
        .join(Comment, Comment.post_id == Post.id)
        .group_by(User.id)
        .order_by(desc(comments), User.id)
        .limit(limit)
    )
    return [tuple(row) for row in session.execute(statement)]


def tag_cloud(session: Session) -> list[Any]:
    """
    How many published posts each tag has, through the many-to-many table.
    """
    posts = func.count(Post.id)
    statement = (
        select(Tag.name, posts)
        .join(post_tags, post_tags.c.tag_id == Tag.id)
        .join(Post, Post.id == post_tags.c.post_id)
        .where(Post.published)
        .group_by(Tag.id)
        .order_by(Tag.name)
    )
    return [tuple(row) for row in session.execute(statement)]


def search(session: Session, word: str) -> list[Any]:
    """
    Titles that hold a word, by a query of the older style.
    """
    found = (
        session.query(Post.id, Post.title)
        .filter(Post.title.contains(word), Post.content.contains("statement"))
        .order_by(Post.id)
        .limit(50)
    )
    return [tuple(row) for row in found]
