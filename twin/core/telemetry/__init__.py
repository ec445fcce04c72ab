"""Measured arrays against predicted ones: plain tables, scores, calibration, alarms and what a machine lacks."""
