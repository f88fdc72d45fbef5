"""Importers of results that others publish: their files -> robench's files."""
