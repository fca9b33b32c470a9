"""A rule against history: what would it have flagged, and what came of that."""
