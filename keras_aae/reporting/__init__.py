"""Figures from arrays, and the pages that show them."""
