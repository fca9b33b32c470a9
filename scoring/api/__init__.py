"""The API for programs, `/api/v1/…` (docs/api.md): qualifications with why they are, definitions, handoffs."""
