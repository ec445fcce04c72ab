// Sends batches of operations one after the other, each on the version that the one before it made. Keeps what undoes
// them. A batch that the server cannot take stops the line until somebody decides.

const WAIT_MS = 350; // arrow keys held down become one batch
const RETRY_MS = 3000;

function resolved(operation, numbers) {
  const number = (value) => (typeof value === "string" && numbers.has(value) ? numbers.get(value) : value);
  const changed = { ...operation };
  for (const name of ["id", "cdu"]) if (name in changed) changed[name] = number(changed[name]);
  if (changed.racks) changed.racks = changed.racks.map(number);
  return changed;
}

export class Saver {
  // `on` has state(text), saved(answer, batch), conflict(answer), refused(answer, batch).
  constructor({ url, token, version, on }) {
    Object.assign(this, { url, token, version, on });
    this.line = [];
    this.undoable = [];
    this.redoable = [];
    this.numbers = new Map(); // of new objects by their ref
    this.isSending = this.isStopped = false;
    this.timer = null;
  }

  get isIdle() {
    return !this.line.length && !this.isSending;
  }

  // batch: {label, operations, merge}: batches with the same `merge` that wait together go together.
  push(batch) {
    const last = this.line.at(-1);
    if (batch.merge && last?.merge === batch.merge && !(this.isSending && this.line.length === 1)) {
      last.operations.push(...batch.operations);
    } else {
      this.line.push({ way: "do", madeAt: performance.now(), ...batch });
    }
    this.on.state("Not saved yet");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), batch.merge ? WAIT_MS : 0);
  }

  // Undo and redo are batches too: the server says for each what brings it back.
  take(way) {
    const entry = (way === "undo" ? this.undoable : this.redoable).pop();
    return entry && { ...entry, way, operations: entry.operations };
  }

  async send() {
    clearTimeout(this.timer);
    if (this.isSending || this.isStopped || !this.line.length) return;
    this.isSending = true;
    const batch = this.line[0];
    batch.operations = batch.operations.map((operation) => resolved(operation, this.numbers));
    this.on.state("Saving …");
    try {
      const answer = await fetch(this.url, {
        method: "POST", headers: { "Content-Type": "application/json", "X-CSRFToken": this.token },
        body: JSON.stringify({ version: this.version, operations: batch.operations }),
      });
      this.isSending = false;
      await this.answered(answer, batch);
    } catch (error) {
      this.isSending = false;
      this.on.state(`Not saved: ${error.message || error}. Trying again …`);
      this.timer = setTimeout(() => this.send(), RETRY_MS);
    }
  }

  async answered(answer, batch) {
    if ([400, 403, 409, 422].includes(answer.status)) {
      const { message, extra } = await answer.json(), body = { message, ...extra };
      if (answer.status === 409 && this.line.length > 1) { // ask again with all that waits, so that both sides are whole
        const operations = this.line.flatMap((waiting) => waiting.operations);
        this.line = [{ ...batch, way: "do", merge: "", label: `${this.line.length} changes`, operations }];
        this.send();
        return;
      }
      this.isStopped = true;
      this.on.state("Not saved");
      if (answer.status === 409) this.on.conflict(body);
      else this.on.refused(body, batch);
      return;
    }
    if (answer.status === 401) throw new Error("you are signed out; sign in again in another window");
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const body = await answer.json();
    this.line.shift();
    this.version = body.version;
    for (const [ref, id] of Object.entries(body.created)) this.numbers.set(ref, id);
    const entry = { label: batch.label, operations: body.inverse };
    if (batch.way === "undo") this.redoable.push(entry);
    else this.undoable.push(entry);
    if (batch.way === "do") this.redoable = [];
    this.on.state(`Saved, version ${body.version}`);
    this.on.saved(body, batch);
    this.send();
  }

  // Go on after a stop, on a newer version, with what is left of the line.
  resume(version, line) {
    this.version = version;
    this.line = line;
    this.isStopped = false;
    this.send();
  }

  // Undoing what somebody else has changed since would undo their work: forget those steps.
  forget(keys) {
    const theirs = (entry) => entry.operations.some((op) =>
      [op.id, ...(op.racks ?? [])].some((id) => keys.has(`${op.kind ?? "rack"}:${id}`)));
    this.undoable = this.undoable.filter((entry) => !theirs(entry));
    this.redoable = this.redoable.filter((entry) => !theirs(entry));
  }
}
