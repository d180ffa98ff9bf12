// What all pages need: times in the reader's zone, and how long ago they were.
"use strict";

const ago = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function inWords(at) {
  const seconds = (at - Date.now()) / 1000;
  if (Math.abs(seconds) > 7 * 86400) return whole.format(at);
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS[3];
  return ago.format(Math.trunc(seconds / size), unit);
}

function writeTimes(root) {
  for (const each of root.querySelectorAll("time[datetime]")) {
    const at = new Date(each.dateTime);
    if (isNaN(at)) continue;
    each.textContent = "whole" in each.dataset ? whole.format(at) : inWords(at);
    each.title = `${exact.format(at)} (${each.dateTime})`;
  }
}

// What scrolls is reached by keyboard.
function reachWhatScrolls() {
  for (const each of document.querySelectorAll("main table, .wide")) {
    const scrolls = each.scrollWidth > each.clientWidth && getComputedStyle(each).overflowX !== "visible";
    if (scrolls && !each.hasAttribute("tabindex")) {
      each.tabIndex = 0;
      each.dataset.scrolls = "";
    } else if (!scrolls && "scrolls" in each.dataset) {
      each.removeAttribute("tabindex");
      delete each.dataset.scrolls;
    }
  }
}

writeTimes(document);
reachWhatScrolls();
setInterval(() => { if (!document.hidden) writeTimes(document); }, 15000);
document.addEventListener("live:updated", () => { writeTimes(document); reachWhatScrolls(); });
window.addEventListener("resize", reachWhatScrolls);
