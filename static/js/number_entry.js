// Numbers as people type them, in German or English, read as facility/entry/number_entry.py reads them: of point and
// comma the last is the decimal mark, the other groups. Alone before three digits, as in 1,234, it can be either.

const SPACES = /[ \t\u00a0\u202f\u2009'\u2019]/g;
const MINUSES = /[\u2212\u2013]/g;
const SPELLED = /^([+-]?)([0-9.,]*[0-9][0-9.,]*)(?:[eE]([+-]?[0-9]{1,3}))?$/;
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

/** The number that a text means, or null: of two readings the one with decimals, with `isStrict` neither. */
export function numberTyped(text, isStrict = false) {
  const meant = readings(text);
  return meant.length === 0 || (isStrict && meant.length > 1) ? null : meant[0];
}
