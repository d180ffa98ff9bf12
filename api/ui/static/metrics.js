// Loads a job's metrics into its page, and again now and then while it goes on: MLflow, which has them, does not tell
// when there are new ones. A tab in the background asks for nothing. What a person has opened stays.
"use strict";

{
  const SECONDS = 10;
  const CONFIG = { morphStyle: "outerHTML", callbacks: { beforeAttributeUpdated: (name) => name !== "open" } };

  async function load(section) {
    const answer = await fetch(section.dataset.metrics, { headers: { "X-Refresh": "true" } });
    if (!answer.ok || answer.redirected) return;
    const anew = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(section.id);
    if (anew) Idiomorph.morph(section, anew, CONFIG);
  }

  function look(which) {
    const section = document.querySelector(`[data-metrics]${which}`);
    if (section && !document.hidden) load(section).catch(() => {});
  }

  look("[data-later]");
  setInterval(() => look("[data-poll]"), SECONDS * 1000);
  document.addEventListener("visibilitychange", () => look(":is([data-later], [data-poll])"));
}
