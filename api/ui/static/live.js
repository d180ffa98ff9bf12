// Keeps what is marked with data-live as it is on the server, which tells of changes by server-sent events. Where that
// cannot be, it asks now and then. A tab in the background is told nothing and asks nothing; it catches up when shown.
"use strict";

{ // its names are its own: all scripts of a page share one scope
  const ASK_SECONDS = 5;
  const BEGIN_SECONDS = 5; // for the first event: a proxy may keep what it should pass on
  const SILENT_SECONDS = 40; // the server says something every 15 s
  const AGAIN_SECONDS = 60;
  const SHARE = 20; // a server that takes long is asked less often

  const AS_REFRESH = { headers: { "X-Refresh": "true" } };

  let stream, patience, asking, again, going, etag;
  const wanted = new Set();

  const lives = () => [...document.querySelectorAll("[data-live]")];
  const topicsOf = (element) => element.dataset.live.split(" ");
  const topics = () => [...new Set(lives().flatMap(topicsOf))].sort();
  const after = (seconds, what) => setTimeout(what, seconds * 1000);

  // What a person has opened, ticked or typed stays.
  const KEPT = new Set(["open", "checked", "value", "selected"]);
  const CONFIG = { morphStyle: "outerHTML", callbacks: { beforeAttributeUpdated: (name) => !KEPT.has(name) } };

  async function load() {
    const changed = new Set(wanted);
    wanted.clear();
    const answer = await fetch(location.href.split("#")[0], AS_REFRESH);
    if (answer.redirected) return location.reload(); // to sign in again
    if (!answer.ok || answer.headers.get("ETag") === etag) return;
    etag = answer.headers.get("ETag");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const each of lives()) {
      const anew = document.hidden ? null : page.getElementById(each.id);
      if (!anew || !(topicsOf(each).some((topic) => changed.has(topic)))) continue;
      Idiomorph.morph(each, anew, CONFIG);
      const now = document.getElementById(anew.id);
      now.dispatchEvent(new CustomEvent("live:updated", { bubbles: true }));
    }
  }

  // What a page leaves out, so as not to wait for it, is taken from a page of its own.
  async function fill(part) {
    const answer = await fetch(part.dataset.part, AS_REFRESH);
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    part.replaceChildren(...(page.querySelector(part.dataset.takes)?.childNodes ?? []));
    part.dispatchEvent(new CustomEvent("live:updated", { bubbles: true }));
  }

  function fillParts(changed) {
    for (const part of document.querySelectorAll("[data-part]")) {
      if (!changed || changed.matches(part.dataset.again)) fill(part).catch(() => {});
    }
  }

  // Loads the page once for all that changed meanwhile; returns how many seconds it took.
  async function refresh(changed) {
    for (const each of changed) wanted.add(each);
    if (going) return going;
    const began = performance.now();
    going = (async () => {
      while (wanted.size) await load().catch(() => wanted.clear());
      return (performance.now() - began) / 1000;
    })();
    const took = await going;
    going = undefined;
    return took;
  }

  function ask(took = 0) {
    clearTimeout(asking);
    const seconds = Math.max(ASK_SECONDS, SHARE * took) * (0.75 + Math.random() / 2);
    asking = after(seconds, async () => ask(await refresh(topics())));
  }

  function giveUp() {
    stop();
    refresh(topics());
    ask();
    again = after(AGAIN_SECONDS * (0.5 + Math.random()), listen);
  }

  function waitFor(seconds) {
    clearTimeout(patience);
    patience = after(seconds, giveUp);
  }

  function listen() {
    const address = document.querySelector("meta[name=live]");
    if (!topics().length || document.hidden) return;
    if (!window.EventSource || !address) return giveUp();
    stream?.close();
    stream = new EventSource(`${address.content}?${new URLSearchParams(topics().map((each) => ["of", each]))}`);
    waitFor(BEGIN_SECONDS);
    stream.addEventListener("begin", () => {
      clearTimeout(asking);
      waitFor(SILENT_SECONDS);
      refresh(topics()); // what has changed since the page was made, or while nobody listened
    });
    stream.addEventListener("still", () => waitFor(SILENT_SECONDS));
    stream.addEventListener("message", (event) => {
      waitFor(SILENT_SECONDS);
      refresh([event.data]);
    });
    stream.addEventListener("error", () => (stream.readyState === EventSource.CLOSED ? giveUp() : waitFor(BEGIN_SECONDS)));
  }

  function stop() {
    stream?.close();
    stream = undefined;
    for (const each of [patience, asking, again]) clearTimeout(each);
  }

  document.addEventListener("DOMContentLoaded", listen);
  document.addEventListener("DOMContentLoaded", () => fillParts());
  document.addEventListener("live:updated", (event) => fillParts(event.target));
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
}
