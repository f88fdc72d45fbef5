"""Importers of results that others publish: their files -> figures in our own form."""
