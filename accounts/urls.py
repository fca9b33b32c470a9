"""URLs of this floor."""

from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, path, re_path

from accounts import api
from accounts.views import accounts, auth, data_quality, event_types, imports, quarantine, sources, tokens, unsubscribe

urlpatterns: list[URLPattern] = [
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(http_method_names=["post", "options"]), name="logout"),
    path("password/", auth.PasswordView.as_view(), name="password"),
    path("profile/", auth.profile, name="profile"),
    path("profile/preferences/", auth.preferences, name="preferences"),
    path("unsubscribe/<str:token>/", unsubscribe.unsubscribe, name="unsubscribe"),
    path("tokens/", tokens.token_list, name="tokens"),
    path("tokens/<int:token_id>/revoke/", tokens.token_revoke, name="token-revoke"),
    path("sources/", sources.source_list, name="sources"),
    path("sources/<int:source_id>/revoke/", sources.source_revoke, name="source-revoke"),
    path("event-types/", event_types.event_type_list, name="event-types"),
    path("event-types/<int:event_type_id>/", event_types.event_type_edit, name="event-type"),
    path("accounts/", accounts.account_list, name="accounts"),
    path("accounts/<int:account_id>/usage/", accounts.usage, name="account-usage"),
    path("accounts/<int:account_id>/owner/", accounts.owner, name="account-owner"),
    path("accounts/<int:account_id>/internal/", accounts.internal, name="account-internal"),
    path("accounts/<int:account_id>/merge/", accounts.merge, name="account-merge"),
    path("accounts/<int:account_id>/merge/choices/", accounts.merge_choices, name="account-merge-choices"),
    path("accounts/merges/<int:merge_id>/undo/", accounts.unmerge, name="account-unmerge"),
    path("palette/", accounts.palette, name="palette"),
    path("quarantine/", quarantine.message_list, name="quarantine"),
    path("quarantine/replay/", quarantine.replay_all, name="quarantine-replay"),
    path("quarantine/<int:message_id>/", quarantine.message_page, name="quarantined-message"),
    path("quarantine/<int:message_id>/replay/", quarantine.message_replay, name="quarantined-replay"),
    # Clients call these with and without a slash, and lose what they sent when they are redirected.
    re_path(r"^v1/(?:batch|b|import)/?$", api.batch, name="api-batch"),
    *(
        re_path(rf"^v1/(?:{kind}|{kind[0]})/?$", api.single, {"type": kind}, name=f"api-{kind}")
        for kind in ("identify", "track", "page", "screen", "group", "alias")
    ),
    path("v1/<path:rest>", api.unknown),
    path("v1/", api.unknown, {"rest": ""}),
    path("data-quality/", data_quality.quality, name="data-quality"),
    path("data-quality/summary/", data_quality.summary, name="data-quality-summary"),
    path("imports/", imports.import_list, name="imports"),
    path("imports/<int:job_id>/", imports.import_page, name="import"),
    path("imports/<int:job_id>/discard/", imports.import_discard, name="import-discard"),
    path("imports/<int:job_id>/rejected/", imports.import_rejects, name="import-rejects"),
]
