"""URLs of the CRM, under /crm/."""

from django.urls import path

from scoring.views import crm

urlpatterns = [
    path("", crm.index, name="crm"),
    path("connect/", crm.connect, name="crm_connect"),
    path("switch/", crm.switch, name="crm_switch"),
    path("disconnect/", crm.disconnect, name="crm_disconnect"),
    path("mapping/", crm.map_fields, name="crm_mapping"),
    path("dry-run/", crm.dry_run, name="crm_dry_run"),
    path("conflicts/", crm.conflict_list, name="crm_conflicts"),
    path("conflicts/<int:conflict_id>/", crm.resolve, name="crm_resolve"),
    path("errors/", crm.error_list, name="crm_errors"),
    path("errors/retry/", crm.retry, name="crm_retry"),
    path("companies.csv", crm.companies_file, name="crm_file"),
]
