// Keeps what is marked with data-live as it is on the server. A tab in the background asks for nothing.
"use strict";

const SECONDS = 3;

function refresh() {
  if (document.hidden) return;
  for (const each of document.querySelectorAll("[data-live]")) htmx.trigger(each, "refresh");
}

setInterval(refresh, SECONDS * 1000);
document.addEventListener("visibilitychange", refresh);
