"""Emit a machine learning repository that has already been rehearsed in production."""

__version__ = "0.1.0"
