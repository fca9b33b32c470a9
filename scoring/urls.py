"""URLs of this floor."""

from django.urls import path

from scoring import api
from scoring.views import backtest, backtest_weeks, definitions, inbox, inbox_actions, panels, preview, states

urlpatterns = [
    path("inbox/", inbox.index, name="inbox"),
    path("inbox/news/", inbox.news, name="inbox_news"),
    path("inbox/freshness/", states.inbox_freshness, name="inbox_freshness"),
    path("inbox/digest/", states.digest_lately, name="inbox_digest"),
    path("inbox/digest/dismiss/", states.digest_dismiss, name="inbox_digest_dismiss"),
    path("inbox/<int:handoff_id>/", inbox.handoff, name="inbox_handoff"),
    path("inbox/<int:handoff_id>/use/", inbox.use, name="inbox_use"),
    path("inbox/<int:handoff_id>/claim/", inbox_actions.claim, name="inbox_claim"),
    path("inbox/<int:handoff_id>/unclaim/", inbox_actions.unclaim, name="inbox_unclaim"),
    path("inbox/<int:handoff_id>/assign/", inbox_actions.assign, name="inbox_assign"),
    path("inbox/<int:handoff_id>/touch/", inbox_actions.touch, name="inbox_touch"),
    path("inbox/<int:handoff_id>/note/", inbox_actions.note, name="inbox_note"),
    path("inbox/<int:handoff_id>/close/", inbox_actions.close, name="inbox_close"),
    path("inbox/<int:handoff_id>/reopen/", inbox_actions.reopen, name="inbox_reopen"),
    path("definitions/", definitions.catalogue_page, name="definitions"),
    path("definitions/new/", definitions.new, name="definition_new"),
    path("definitions/preview/", preview.draft, name="definition_preview"),
    path("definitions/backtest/", backtest.draft, name="backtest_draft"),
    path("definitions/backtest/result/", backtest.draft_result, name="backtest_draft_result"),
    path("definitions/backtest/accounts/", backtest.draft_accounts, name="backtest_draft_accounts"),
    path("definitions/<slug:slug>/", definitions.definition, name="definition"),
    path("definitions/<slug:slug>/backtest/", backtest.page, name="backtest"),
    path("definitions/<slug:slug>/backtest/result/", backtest.result, name="backtest_result"),
    path("definitions/<slug:slug>/backtest/accounts/", backtest.accounts, name="backtest_accounts"),
    path("definitions/<slug:slug>/weeks/", backtest_weeks.weeks, name="definition_weeks"),
    path("definitions/<slug:slug>/near-misses/", preview.near, name="definition_near_misses"),
    path("definitions/<slug:slug>/edit/", definitions.edit, name="definition_edit"),
    path("definitions/<slug:slug>/archive/", definitions.archive, name="definition_archive"),
    path("definitions/<slug:slug>/release/", definitions.release, name="definition_release"),
    path("definitions/<slug:slug>/qualifiers.csv", states.qualifiers_csv, name="definition_csv"),
    path("data-quality/definitions/", states.definition_health_panel, name="data_quality_definitions"),
    path("api/v1/accounts/<path:external_id>/qualifications/", api.AccountQualifications.as_view(), name="api_account"),
    path("api/v1/definitions/<slug:slug>/qualifiers/", api.DefinitionQualifiers.as_view(), name="api_definition"),
    path("qualifications/<int:qualification_id>/today/", panels.today, name="qualification_today"),
    path("accounts/<int:account_id>/panels/qualification/", panels.qualification, name="panel_qualification"),
]
