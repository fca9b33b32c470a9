"""The knowledge base: write, publish, find, show."""

from __future__ import annotations

import datetime as dt
import functools
import operator
import re

from django.db import IntegrityError, transaction
from django.db.models import Case, IntegerField, Q, QuerySet, When
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt

from accounts.models import StaffUser
from accounts.team import audit
from support.models import Article

# raw HTML stays text and links to scripts are refused, so what a colleague writes cannot run anything
_markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_WORD = re.compile(r"[\w'-]{3,}")


class TitleTaken(Exception):
    """Another article has the same address (its title reads the same)."""


def render(body: str) -> SafeString:
    """Markdown as HTML, without raw HTML."""
    return mark_safe(_markdown.render(body))  # noqa: S308 - escaped by the renderer, see above


@transaction.atomic
def save_article(*, article: Article, title: str, body: str, by: StaffUser, now: dt.datetime) -> Article:
    """Write a new article or change one. Raises TitleTaken. A published one stays published."""
    created = article.pk is None
    article.title, article.body = title, body
    article.updated_at, article.updated_by = now, by
    if created:
        article.slug = slugify(title)[:120] or f"article-{now:%Y%m%d%H%M%S}"
    try:
        with transaction.atomic():
            article.save()
    except IntegrityError as error:
        raise TitleTaken("Another article already has this title.") from error
    audit.record(action="article.created" if created else "article.changed", obj=article, by=by, now=now)
    return article


@transaction.atomic
def set_published(*, article_id: int, published: bool, by: StaffUser, now: dt.datetime) -> Article:
    """Publish an article or take it back to a draft."""
    article = Article.objects.select_for_update().get(pk=article_id)
    article.status = Article.Status.PUBLISHED if published else Article.Status.DRAFT
    article.published_at = now if published else None
    article.updated_at, article.updated_by = now, by
    article.save()
    audit.record(action="article.published" if published else "article.unpublished", obj=article, by=by, now=now)
    return article


def find(question: str, *, limit: int = 5) -> QuerySet[Article]:
    """Published articles that share words with the question, those that share them in the title first."""
    words = list(dict.fromkeys(word.casefold() for word in _WORD.findall(question)))[:8]
    published = Article.objects.filter(status=Article.Status.PUBLISHED)
    if not words:
        return published.none()
    in_title = [Q(title__icontains=word) for word in words]
    in_body = [Q(body__icontains=word) for word in words]
    points = [
        Case(When(title, then=3), When(body, then=1), default=0, output_field=IntegerField())
        for title, body in zip(in_title, in_body, strict=True)
    ]
    hits = functools.reduce(operator.or_, in_title + in_body)
    score = functools.reduce(operator.add, points)
    return published.filter(hits).annotate(score=score).order_by("-score", "title", "pk")[:limit]
