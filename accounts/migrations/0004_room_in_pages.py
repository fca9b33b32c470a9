"""Room in the pages of rows that ingest updates all the time, so that PostgreSQL updates them in place (HOT)."""

from django.db import migrations

FILLED = {"accounts_accountdue": 70, "accounts_productuser": 85}


def leave_room(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table, percent in FILLED.items():
            schema_editor.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")


def fill(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in FILLED:
            schema_editor.execute(f"ALTER TABLE {table} RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_search_by_name")]
    operations = [migrations.RunPython(leave_room, fill)]
