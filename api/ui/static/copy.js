// Gives each block of code a button that copies it.
"use strict";

// Browsers copy only for pages that came by https, or from this machine.
for (const block of navigator.clipboard ? document.querySelectorAll(".code pre") : []) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Copy" });
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.textContent);
    button.textContent = "Copied";
  });
  block.before(button);
}
