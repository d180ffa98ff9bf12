// The page of one job: copies what a button names; a form is not sent twice.
"use strict";

for (const button of document.querySelectorAll("[data-copies]")) {
  if (!navigator.clipboard) continue; // without TLS there is none; the text can be selected
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = "Copied";
  });
}

document.addEventListener("submit", () => setTimeout(() => {
  for (const button of document.querySelectorAll("main form button")) button.disabled = true;
}));
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("main form button")) button.disabled = false;
});
