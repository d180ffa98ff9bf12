// The form for a new job: adds rows for parameters and labels.
"use strict";

for (const button of document.querySelectorAll("button.add")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const rows = button.parentElement.querySelector(".rows");
    const row = rows.lastElementChild.cloneNode(true);
    for (const field of row.querySelectorAll("input, textarea")) {
      field.value = "";
      field.setAttribute("aria-label", field.getAttribute("aria-label").replace(/\d+/, rows.children.length + 1));
    }
    rows.append(row);
    row.querySelector("input").focus();
  });
}
