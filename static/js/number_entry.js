// Numbers as people type them, in German or English, read as facility/entry/number_entry.py reads them: of point and
// comma the last is the decimal mark, the other groups. Alone before three digits, as in 1,234, it can be either. A unit
// may follow; the page brings the table of units (facility/entry/units.py), a bare number is of the unit shown.

const SPACES = /[ \t\u00a0\u202f\u2009'\u2019]/g;
const MINUSES = /[\u2212\u2013]/g;
const SPELLED = /^([+-]?)([0-9.,]*[0-9][0-9.,]*)(?:[eE]([+-]?[0-9]{1,3}))?$/;
const MEASURED = /^\s*(\$?)\s*([+\-−–]?\s?[.,]?\d[\d.,]*(?:[ '’\u00a0\u202f\u2009]\d{3}(?!\d)[\d.,]*)*(?:[eE][+\-−–]?\d{1,3})?)(.*)$/; // a number, then a unit
const EITHER = /^[1-9]\d{0,2}[.,]\d{3}$/; // nobody groups after a leading zero: 0,125 has one reading
const GROUPED = { ".": /^\d{1,3}(?:\.\d{3})+$/, ",": /^\d{1,3}(?:,\d{3})+$/ };

/** What a text can mean as a number: nothing, one number, or two, the smaller first. */
export function readings(text) {
  const found = SPELLED.exec(String(text).trim().replace(SPACES, "").replace(MINUSES, "-"));
  if (!found) return [];
  const [, sign, digits, exponent] = found;
  return plain(digits).map((spelling) => Number(`${sign}${spelling}e${exponent ?? 0}`)).filter(Number.isFinite);
}

// The spellings with a decimal point only that digits with points and commas can stand for.
function plain(digits) {
  if (EITHER.test(digits)) return [digits.replaceAll(",", "."), digits.replace(/[.,]/g, "")];
  const marks = [".", ","].filter((mark) => digits.includes(mark));
  if (!marks.length) return [digits];
  if (marks.length === 1) {
    const [mark] = marks;
    if (digits.indexOf(mark) === digits.lastIndexOf(mark)) return [digits.replace(mark, ".")];
    return GROUPED[mark].test(digits) ? [digits.replaceAll(mark, "")] : [];
  }
  const decimal = digits.lastIndexOf(".") > digits.lastIndexOf(",") ? "." : ",", group = decimal === "." ? "," : ".";
  const at = digits.indexOf(decimal), whole = digits.slice(0, at), rest = digits.slice(at + 1);
  if (!GROUPED[group].test(whole) || !/^\d*$/.test(rest)) return [];
  return [`${whole.replaceAll(group, "")}.${rest || 0}`];
}

/** What a text can mean as a number, and the unit behind it, which may be none. */
export function measured(text) {
  const found = MEASURED.exec(text);
  if (!found) return [readings(text), ""];
  return [readings(found[2]), found[1] + found[3].trim()];
}

// A unit as it is looked up: no spaces, degrees or raised digits, one spelling.
function plainUnit(unit, { plain: marks, spelled }) {
  const joined = [...unit.replace(/\s/g, "")].map((mark) => marks[mark] ?? mark).join("");
  return spelled[joined] ?? joined.split("/").map((part) => spelled[part] ?? part).join("/");
}

// A plain unit in small letters, but for those whose case says the size: mega and milli, bytes and bits.
function folded(unit, { cased }) {
  return unit.split(new RegExp(cased)).map((part, place) => place % 2 ? part : part.toLowerCase()).join("");
}

// The unit that is meant: its name, size and what is added; null where the field takes none such, or it could be two.
function unitNamed(typed, table, { shown, units }) {
  const meant = plainUnit(typed || shown, table);
  if (units[meant]) return units[meant];
  const close = Object.keys(units).filter((known) => known.toLowerCase() === meant.toLowerCase());
  return close.length === 1 && folded(close[0], table) === folded(meant, table) ? units[close[0]] : null;
}

/** The number that a text means, as it is stored, or null: of two readings the one with decimals, with `isStrict` neither. */
export function numberTyped(text, isStrict = false, table = null, name = "") {
  const measure = table?.fields[name];
  const [meant, typed] = measure ? measured(String(text)) : [readings(text), ""];
  if (meant.length === 0 || (isStrict && meant.length > 1)) return null;
  if (!measure) return meant[0];
  const unit = unitNamed(typed, table, measure);
  if (!unit) return null;
  const [, size, added] = unit;
  const stored = size === 1 && added === 0 ? meant[0] : Number((meant[0] * size + added).toPrecision(15));
  return Number.isFinite(stored) ? stored : null;
}

/** A stored number in the unit that the page prints beside its field. */
export function numberShown(stored, table, name) {
  const measure = table?.fields[name];
  if (!measure || typeof stored !== "number") return stored;
  const [, size, added] = unitNamed("", table, measure);
  return size === 1 && added === 0 ? stored : Number(((stored - added) / size).toPrecision(12));
}

// The table of the page, for its fields by name.
let onPage;
function pageTable() {
  onPage ??= JSON.parse(document.getElementById("field-units")?.textContent ?? '{"fields": {}}');
  return onPage;
}
export const fieldTyped = (name, text, isStrict = false) => numberTyped(text, isStrict, pageTable(), name);
export const fieldShown = (name, stored) => numberShown(stored, pageTable(), name);
export const fieldUnit = (name) => pageTable().fields[name]?.shown ?? "";
export const fieldUnits = (name) => (pageTable().fields[name]?.usual ?? []).join(", ");
