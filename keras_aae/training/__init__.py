"""Trains a model in a run directory so that nothing is lost when it is killed."""
