"""Descriptions in and out of files of this and other programs."""
