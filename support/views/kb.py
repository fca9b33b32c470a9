"""The knowledge base, as staff see it."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.team.requests import StaffRequest
from plgops.lib import access
from plgops.lib.htmx import page
from plgops.lib.paging import keyset
from support import kb, queries
from support.forms import ArticleForm
from support.models import Article


@login_required
@require_GET
def article_list(request: StaffRequest) -> HttpResponse:
    access.require(request.user, "tickets.view")
    can_edit = access.may(request.user, "articles.edit")
    search = request.GET.get("q", "").strip()
    rows = queries.articles(search=search, drafts=can_edit)
    context = {
        "page": keyset(rows, by="-updated_at", cursor=request.GET.get("cursor", "")),
        "q": search,
        "can_edit": can_edit,
    }
    return page(request, "kb/list.html", context, fragments=("articles",))


@login_required
@require_GET
def article_page(request: StaffRequest, slug: str) -> HttpResponse:
    """One article as a reader sees it. Drafts are for those who may edit."""
    access.require(request.user, "tickets.view")
    can_edit = access.may(request.user, "articles.edit")
    rows = Article.objects.select_related("updated_by")
    if not can_edit:
        rows = rows.filter(status=Article.Status.PUBLISHED)
    article = get_object_or_404(rows, slug=slug)
    return render(request, "kb/page.html", {"article": article, "html": kb.render(article.body), "can_edit": can_edit})


@login_required
@require_http_methods(["GET", "POST"])
def article_edit(request: StaffRequest, slug: str | None = None) -> HttpResponse:
    access.require(request.user, "articles.edit")
    article = get_object_or_404(Article, slug=slug) if slug else Article()
    form = ArticleForm(request.POST or None, initial={"title": article.title, "body": article.body})
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                kb.save_article(article=article, **form.cleaned_data, by=request.user, now=timezone.now())
                return redirect("article", slug=article.slug)
            except kb.TitleTaken as error:
                form.add_error("title", str(error))
    return render(request, "kb/edit.html", {"form": form, "article": article}, status=status)


@login_required
@require_POST
def article_publish(request: StaffRequest, slug: str) -> HttpResponse:
    access.require(request.user, "articles.edit")
    article = get_object_or_404(Article, slug=slug)
    published = request.POST.get("published") == "yes"
    kb.set_published(article_id=article.pk, published=published, by=request.user, now=timezone.now())
    messages.success(request, "Published" if published else "Back to a draft")
    return redirect("article", slug=slug)
