"""Heads on frozen backbones: features computed once, then logistic regression or nearest neighbours."""
