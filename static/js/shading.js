// How values become colours of a plan, as twin/floor/plan.py and twin/floor/colouring.py have it.

import { isNumber } from "./quantities.js";

const OVER = 1.005; // half a percent above a limit is the solver's tolerance, not an overload
const BEYOND_PERCENT = 2; // of the ramp's length: room for a tick that is seen to stand outside
const NO_STEP = -1;

/** What is shown in a mode: what is used, what is left to the limit, or the limit; null where there is no value. */
export function inMode(mode, used, limit) {
  if (!isNumber(used)) return null;
  if (mode === "used") return used;
  if (!isNumber(limit)) return null;
  return mode === "remaining" ? limit - used : limit;
}

export const isOver = (used, limit) => isNumber(used) && isNumber(limit) && used > limit * OVER;

/** A value's place on a ramp of so many colours, the middle where all are equal and -1 where there is none. */
export function rampStep(value, low, high, nSteps) {
  if (!isNumber(value)) return NO_STEP;
  if (!(high > low)) return Math.floor(nSteps / 2);
  const share = Math.min(Math.max((value - low) / (high - low), 0), 1);
  return Math.floor(share * (nSteps - 1) + 0.5);
}

/** Where the limit's tick stands along the ramp [%], just beyond the end where it lies outside. */
export function tickPercent(tick, low, high) {
  if (tick < low || tick > high) return tick < low ? -BEYOND_PERCENT : 100 + BEYOND_PERCENT;
  return high > low ? ((tick - low) / (high - low)) * 100 : 50;
}
