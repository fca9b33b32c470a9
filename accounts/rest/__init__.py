"""The API for programs, `/api/v1/…` (docs/api.md): what every endpoint shares, and the endpoints of accounts."""
