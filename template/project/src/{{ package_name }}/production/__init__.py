"""The machinery around your model: every stage after your three files."""
