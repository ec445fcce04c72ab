"""Measured readings of sites: stored, read and compared with what a layout predicts."""
