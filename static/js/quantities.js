// Numbers as planners read them, as twin/templatetags/quantities.py writes them: three significant digits, SI prefix,
// unit. Values come in SI; "%" takes a fraction, "Wh" takes joules. What the user reads other units for stands in the page.

const GAP = "\u202f", MINUS = "\u2212", MISSING = "\u2014";
const PREFIXES = ["n", "µ", "m", "", "k", "M", "G", "T", "P", "E"];
// smallest and largest power of 1,000, and whether the prefix stands apart
const PREFIXED = {
  W: [-1, 4], VA: [0, 4], Hz: [0, 3], Wh: [0, 4], J: [-1, 6], Pa: [0, 3], s: [-2, 0], B: [0, 5], "B/s": [0, 5],
  "FLOP/s": [0, 6], "op/s": [0, 6], "tok/s": [0, 6, true], tok: [0, 6, true], parameters: [0, 4, true], "Ω/m": [-2, 0], $: [0, 4, true], "$/year": [0, 4, true],
};
const FACTORS = { "%": 100, Wh: 1 / 3600 };

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

function fixed(value, decimals) {
  const text = Math.abs(value).toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return (value < 0 && /[1-9]/.test(text) ? MINUS : "") + text;
}

function significant(value) {
  if (value === 0) return "0";
  const rounded = Number(value.toPrecision(3));
  return fixed(rounded, Math.max(2 - Math.floor(Math.log10(Math.abs(rounded))), 0));
}

// Near 100 % the distance to it keeps two digits: 99.95 and 99.995 are a factor ten apart.
function percent(value) {
  if (!(value > 99 && value < 100)) return significant(value);
  const text = fixed(value, Math.min(Math.max(1 - Math.floor(Math.log10(Number((100 - value).toFixed(9)))), 1), 6));
  return Number(text) < 100 ? text : fixed(value, 6);
}

let shownIn;
// A stored value as the user reads it: number and unit.
function asShown(value, unit) {
  shownIn ??= JSON.parse(document.getElementById("units-shown")?.textContent ?? "{}");
  const [other, size, added] = shownIn[unit] ?? [unit, 1, 0];
  return [(value - added) / size, other];
}

function scaled(stored, storedUnit) {
  const [given, unit] = asShown(stored, storedUnit);
  const value = given * (FACTORS[unit] ?? 1);
  if (unit === "%") return [percent(value), unit];
  const [smallest, largest, apart] = PREFIXED[unit] ?? [0, 0, false];
  let power = 0;
  if (value && (smallest || largest)) {
    const shown = Number(Math.abs(value).toExponential(2)); // round first: 999.9 kW is 1 MW, not 1,000 kW
    power = Math.min(Math.max(Math.floor(Math.log10(shown) / 3 + 1e-12), smallest), largest);
  }
  const prefix = PREFIXES[power + 3];
  return [significant(value / 1000 ** power), prefix + (apart && prefix ? GAP : "") + unit];
}

export function quantityText(value, unit = "") {
  if (!isNumber(value)) return MISSING;
  if (unit.startsWith("$")) return dollars(value, unit);
  const [digits, shown] = scaled(value, unit);
  return shown ? digits + GAP + shown : digits;
}

// Lengths on a floor with their unit once: as drawn in metres, to three digits in feet.
export function sizeText(...sides_m) {
  const shown = sides_m.map((side) => asShown(side, "m")), unit = shown[0][1];
  return `${shown.map(([side]) => (unit === "m" ? String(side) : significant(side))).join(" × ")} ${unit}`;
}

// A length that is being drawn or moved, to the centimetre; also in feet to two decimals.
export function lengthText(length_m) {
  const [length, unit] = asShown(length_m, "m");
  return `${length.toFixed(2)} ${unit}`;
}

function dollars(stored, storedUnit) {
  const [value, unit] = asShown(stored, storedUnit);
  const [digits, shown] = unit === "$" || unit === "$/year" ? scaled(value, "$") : [significant(value), "$"];
  const sign = digits.startsWith(MINUS) ? MINUS : "", prefix = shown.replace("$", "").replaceAll(GAP, "");
  const per = unit.slice(1).replace(/^\/+/, "");
  return `${sign}$${digits.slice(sign.length)}` + (prefix ? GAP + prefix : "") + (per ? `${GAP}/${GAP}${per}` : "");
}
