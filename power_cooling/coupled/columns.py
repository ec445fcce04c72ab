"""Where each quantity of the coupled solver sits: columns of its scratch rows and of its output tables."""

# Scratch per group: solved supply and flow, pump, heat through the exchanger, conductance, valve state and position.
G_SUPPLY, G_FLOW, G_PUMP, G_HEAT, G_CONDUCTANCE, G_STATE, G_VALVE, G_RATIO, G_PART = 0, 1, 2, 3, 4, 5, 6, 7, 8
N_GROUP_STATE = 9
# Scratch per plant.
P_SUPPLY, P_HEAT, P_FLOW, P_PUMP, P_MODE, P_COOLER, P_TOWER, P_TOWER_PUMP, P_CHILLER = 0, 1, 2, 3, 4, 5, 6, 7, 8
P_EVAPORATION, P_LOAD, P_CLAMPED, P_FLOATS, P_SCALE, P_FREE = 9, 10, 11, 12, 13, 14
N_PLANT_STATE = 15

# Rows of the table of levels (`load_shedding`).
LEVEL, SAFE, UNSAFE, STEP = 0, 1, 2, 3
N_LEVEL_ROWS = 4

# Output columns per element.
S_IT, S_ACCELERATORS, S_OTHER, S_SERVER_FAN, S_SHELF, S_LIQUID, S_AIR, S_WATER, S_EVAPORATION = range(9)
S_CDU_PUMP, S_PLANT_PUMP, S_TOWER_PUMP, S_AIR_FAN, S_COOLER_FAN, S_TOWER_FAN, S_CHILLER, S_LIGHTING = range(9, 17)
S_THROTTLED, S_CAPPED, S_TRIPPED, S_FEED_LEVEL, S_SHORT_FEED, S_JUNCTION, S_CLOSURE = range(17, 24)
S_RESIDUAL, S_PASSES, S_REASON = range(24, 27)  # also of elements without a solution
N_SERIES = 27
OG_SUPPLY, OG_RETURN, OG_HEAT, OG_FLOW, OG_VALVE, OG_LOAD, OG_DEW, OG_PUMP, OG_PRIMARY, OG_LEVEL = range(10)
N_GROUP_OUT = 10
OH_SUPPLY, OH_HOT, OH_RETURN, OH_INLET, OH_MEAN_INLET, OH_HEAT = range(6)
OH_AIR, OH_SERVER_AIR, OH_UNIT_AIR, OH_LOAD, OH_FAN, OH_LEVEL = range(6, 12)
N_HALL_OUT = 12
OP_SUPPLY, OP_RETURN, OP_HEAT, OP_MODE, OP_LOAD, OP_CLAMPED, OP_FLOW = range(7)
OP_PUMP, OP_COOLER, OP_TOWER, OP_TOWER_PUMP, OP_CHILLER, OP_WATER, OP_FREE = range(7, 14)
OP_LEVEL, OP_PUMPED, OP_OUTDOORS = range(14, 17)
N_PLANT_OUT = 17
# Accumulated per rack.
R_POWER, R_MAX_POWER, R_MAX_JUNCTION, R_MAX_INLET, R_MAX_COOLANT, R_MIN_CLOCK = range(6)
R_CLOCK, R_RUNNING, R_THROTTLED, R_CAPPED, R_TRIPPED, R_ELEMENTS = range(6, 12)
N_RACK_OUT = 12
N_CHANNELS = 5  # per rack and element: power, junction, clock, inlet air, heat into the coolant

CONVERGED, NOT_CONVERGED, NO_STEADY = 0, 1, 2
