"""Pages of what was asked and answered: sites with their figures, plans, runs, comparisons, evidence."""
