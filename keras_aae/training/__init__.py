"""Trains a model in a run directory; a run that was killed goes on from its last checkpoint."""
