// Copies shared addresses; without it the address can be selected and copied by hand. The pair of runs is chosen by
// htmx, so the button that sends the form is for pages without scripts.

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(field.value);
    field.select();
    const words = button.lastChild;
    words.textContent = " Copied";
    setTimeout(() => { words.textContent = " Copy"; }, 2000);
  });
}
