"""URLs of the support floor."""

from django.urls import path

from support.views import kb, tickets, tiers

urlpatterns = [
    path("tickets/", tickets.ticket_list, name="tickets"),
    path("tickets/new/", tickets.ticket_new, name="ticket-new"),
    path("tickets/<int:pk>/", tickets.ticket_page, name="ticket"),
    path("tickets/<int:pk>/assign/", tickets.ticket_assign, name="ticket-assign"),
    path("tickets/<int:pk>/priority/", tickets.ticket_priority, name="ticket-priority"),
    *(
        path(f"tickets/<int:pk>/{kind}/", tickets.ticket_say, {"kind": kind}, name=f"ticket-{kind}")
        for kind in ("reply", "reply-solve", "note", "customer")
    ),
    *(
        path(f"tickets/<int:pk>/{action}/", tickets.ticket_act, {"action": action}, name=f"ticket-{action}")
        for action in ("take", "solve", "reopen")
    ),
    path("accounts/<int:account_id>/panels/support/", tickets.account_talking, name="account-talking"),
    path("accounts/<int:account_id>/panels/tickets/", tickets.account_panel, name="account-tickets"),
    path("tiers/", tiers.tier_list, name="tiers"),
    path("tiers/new/", tiers.tier_edit, name="tier-new"),
    path("tiers/<int:pk>/", tiers.tier_edit, name="tier-edit"),
    path("tiers/<int:pk>/remove/", tiers.tier_remove, name="tier-remove"),
    path("kb/", kb.article_list, name="articles"),
    path("kb/new/", kb.article_edit, name="article-new"),
    path("kb/<slug:slug>/", kb.article_page, name="article"),
    path("kb/<slug:slug>/edit/", kb.article_edit, name="article-edit"),
    path("kb/<slug:slug>/publish/", kb.article_publish, name="article-publish"),
]
