// What the focused field means, the typical value and its source: one line under the panel's forms.

export function explainFields(panel) {
  const source = document.getElementById("draw-field-texts"), line = document.getElementById("draw-field-help");
  if (!source || !line) return;
  const texts = JSON.parse(source.textContent);
  panel.addEventListener("focusin", ({ target }) => {
    const subjects = target.form?.dataset.subject?.split(" ") ?? [];
    const text = subjects.map((subject) => texts[`${subject}.${target.name}`]).find(Boolean) ?? "";
    line.textContent = text;
    if (text) target.setAttribute("aria-describedby", line.id);
  });
  panel.addEventListener("focusout", () => { line.textContent = ""; });
}
