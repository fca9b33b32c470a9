"""The company's CRM: what we know of companies there, and what sales does there here. docs/crm.md says how."""
