// Asks again for the metrics of a job that goes on: MLflow, which has them, does not tell when there are new ones.
"use strict";

setInterval(() => {
  if (document.hidden) return;
  for (const each of document.querySelectorAll("[data-poll]")) htmx.trigger(each, "refresh");
}, 10_000);
