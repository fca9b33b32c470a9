"""Prefix search of account names whatever their case: an index that only PostgreSQL needs and can have.

An operator class on an expression is not something a model can say for both databases.
"""

from django.db import migrations


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE INDEX account_name_prefix ON accounts_account (UPPER(name) varchar_pattern_ops)"
        )


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS account_name_prefix")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_workspace_and_roles")]
    operations = [migrations.RunPython(create, drop)]
