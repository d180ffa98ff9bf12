// The list of jobs: select all on the page, and say how many are selected.
"use strict";

const boxes = () => [...document.querySelectorAll("input[name=job]")];
const picked = () => boxes().filter((each) => each.checked).length;

function tell() {
  const all = document.getElementById("all"), number = picked(), count = document.getElementById("count");
  if (count) count.textContent = number ? `With the ${number} selected:` : "With the selected:";
  if (!all) return;
  all.hidden = !boxes().length;
  all.checked = number > 0 && number === boxes().length;
  all.indeterminate = number > 0 && !all.checked;
}

document.addEventListener("change", ({ target }) => {
  if (target.id === "all") for (const each of boxes()) each.checked = target.checked;
  if (target.id === "all" || target.name === "job") tell();
});
document.getElementById("selected")?.addEventListener("submit", (event) => {
  const number = picked();
  if (number > 1 && event.submitter?.value === "cancel" && !confirm(`Cancel ${number} jobs?`)) event.preventDefault();
});
// An empty field says nothing, and would only make the address longer.
document.querySelector("form.search")?.addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});
document.addEventListener("live:updated", tell);
window.addEventListener("pageshow", tell);
tell();
