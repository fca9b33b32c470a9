"""Which early behaviours go with an outcome later: reading them, searching, holding the result against models."""
