// The page of one job: copies what a button names.
"use strict";

for (const button of document.querySelectorAll("[data-copies]")) {
  if (!navigator.clipboard) continue;  // without TLS there is none; the text can be selected
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = "Copied";
  });
}
