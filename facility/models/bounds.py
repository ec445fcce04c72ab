"""Upper bounds of what a description may say, where no rule of its own holds it: above them something was mistyped."""

MOST_POWER_W = 1e11  # a hundred gigawatts: ten of the largest campuses announced
MOST_MACHINES = 1_000  # of one plant or hall; a gigawatt of 1 MW machines
MOST_UNITS = 10_000  # in parallel at one node of the feed tree
MOST_ACCELERATOR_W = 1e5  # as the catalogue's range of thermal design power
