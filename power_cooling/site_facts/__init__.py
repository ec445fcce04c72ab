"""What the description and the solvers both have to know of a site, written once.

The description may not import a solver, and no solver the description; both import this. NumPy only.
"""
