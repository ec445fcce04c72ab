"""The AI-factory twin: its pages, its tasks and the solve that brings compute, power and cooling together."""

import os

__version__ = "0.2.0"  # of the product; its release stands in CHANGELOG.md

# Before NumPy is loaded. The matrices here are small and work is spread over processes; more threads of linear algebra
# only wait for each other (measured: half of the CPU time of an answer on the drawing board).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
