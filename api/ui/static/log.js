// The viewer of a log, however long: only what one sees is on the page, and little more is kept in memory. A log is cut into
// chunks of so many bytes; a chunk shows the lines that begin in it. What the log says becomes text, never HTML.
import { CHUNK, Chunks, NEWLINE, OVERLAP, Style, lastState, paint, textOf } from "./log_text.js";

const LONGEST = 2000, WHOLE = 2 ** 20; // characters of a line at first; bytes of one when it is asked for
const TALLEST = 15_000_000; // pixels: browsers end an element at about twice this
const POLL_SECONDS = 5; // where no stream is to be had

class Viewer {
  constructor(root) {
    this.view = root.querySelector(".log-view");
    this.told = root.querySelector(".log-told");
    this.address = root.dataset.log;
    this.chosen = root.dataset.chosen;
    this.hasEnded = Boolean(root.dataset.ended);
    this.search = root.querySelector("input[type=search]");
    this.buttons = Object.fromEntries([...root.querySelectorAll("button[data-do]")].map((each) => [each.dataset.do, each]));
    root.querySelector(".log-tools").hidden = false;
    root.querySelector(".log-cut")?.remove();
    this.spaces = [document.createElement("div"), document.createElement("div")]; // for what is above and below
    this.nodes = new Map(); // by chunk: what is on the page
    this.follow(localStorage.getItem("log-follow") !== "no");
    this.wrap(localStorage.getItem("log-wrap") !== "no");
    this.listen();
    this.begin(Number(root.dataset.attempt), Number(root.dataset.size));
    if (!this.hasEnded) this.watch();
  }

  /* Show this attempt from now on. */
  begin(attempt, size) {
    this.attempt = attempt;
    const chunks = this.chunks = new Chunks(this.address, attempt, (size) => { if (this.chunks === chunks) this.grow(size); });
    this.heights = new Map();
    this.nodes.clear();
    this.size = this.target = 0;
    this.forget();
    if (attempt > 0) this.view.setAttribute("aria-label", `Log of attempt ${attempt}`);
    this.isNew = true;
    this.grow(size);
  }

  listen() {
    this.view.addEventListener("scroll", () => {
      const isAtEnd = this.view.scrollTop + this.view.clientHeight >= this.view.scrollHeight - 4;
      if (!isAtEnd && this.view.scrollTop < this.lastTop - 1) this.follow(false);
      else if (isAtEnd && this.view.scrollTop > this.lastTop + 1) this.follow(true);
      this.lastTop = this.view.scrollTop;
      this.soon();
    });
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width !== this.width) this.reflow(() => { this.width = contentRect.width; });
      this.soon();
    }).observe(this.view);
    this.view.addEventListener("keydown", (event) => {
      if (event.key === "/") { event.preventDefault(); this.search.focus(); }
    });
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); this.find(event.shiftKey ? -1 : 1); }
      if (event.key === "Escape") { this.search.value = ""; this.forget(); this.view.focus(); }
    });
    this.search.addEventListener("input", () => this.forget());
    const actions = {
      next: () => this.find(1),
      previous: () => this.find(-1),
      error: () => this.toError(),
      wrap: () => { this.wrap(!this.isWrapped); localStorage.setItem("log-wrap", this.isWrapped ? "yes" : "no"); },
      follow: () => { this.follow(!this.isFollowing); localStorage.setItem("log-follow", this.isFollowing ? "yes" : "no"); },
    };
    for (const [name, act] of Object.entries(actions)) this.buttons[name].addEventListener("click", act);
  }

  tell(words) { if (this.told.textContent !== words) this.told.textContent = words; }

  follow(does) {
    this.isFollowing = does;
    this.buttons.follow.setAttribute("aria-pressed", does);
    if (does) this.soon();
  }

  wrap(does) {
    this.isWrapped = does;
    this.buttons.wrap.setAttribute("aria-pressed", does);
    this.reflow(() => this.view.classList.toggle("wrapped", does));
  }

  /* Do what changes how high all lines are; the one that is at the top stays there. */
  reflow(change) {
    const top = this.anchor()?.line.offset;
    change();
    this.heights?.clear();
    if (this.size && !this.isFollowing && top !== undefined) this.bring(top, 0);
    this.soon();
  }

  /* The log has so many bytes by now. While one follows, nothing moves until the new end is there. */
  async grow(size) {
    this.target = Math.max(this.target, size);
    const { chunks } = this;
    if (chunks.isGrowing) return;
    chunks.isGrowing = true;
    while (this.chunks === chunks && this.size < this.target) {
      const size = this.target, last = Math.floor((size - 1) / CHUNK);
      if (this.isFollowing || this.isNew) {
        const wanted = [last - 1, last].filter((each) => each >= 0 && !chunks.has(each, size));
        await this.trying(Promise.all(wanted.map((each) => chunks.load(each, size))));
      }
      if (this.chunks !== chunks) return;
      this.heights.delete(this.count - 1); // it goes on
      this.size = size;
      this.render();
    }
    chunks.isGrowing = false;
  }

  async trying(work) {
    try { await work; return true; } catch (error) {
      this.tell(error.message === "signed out" ? "You are signed out. Load the page again." : "The service does not answer.");
      return false;
    }
  }

  // What is on the page

  get count() { return Math.ceil(this.size / CHUNK); }

  height(number) {
    const share = Math.min(1, this.size / CHUNK - number);
    return this.heights.get(number) ?? Math.min(this.usual ?? 6000, TALLEST / this.count) * share;
  }

  /* The chunks that one sees, or would see after scrolling by a page. */
  visible() {
    const { scrollTop, clientHeight } = this.view, margin = clientHeight;
    let top = 0, first = 0, last = -1;
    for (let number = 0; number < this.count; number++) {
      const bottom = top + this.height(number);
      if (bottom < scrollTop - margin) first = number + 1;
      if (top <= scrollTop + clientHeight + margin) last = number;
      top = bottom;
    }
    return [Math.min(first, Math.max(0, this.count - 1)), last];
  }

  soon() { this.planned ??= requestAnimationFrame(() => { this.planned = null; this.render(); }); }

  render() {
    if (!this.size) return;
    if (this.isNew) { this.isNew = false; this.view.replaceChildren(...this.spaces); }
    const anchor = this.anchor();
    if (this.isFollowing) this.toEnd();
    const [first, last] = this.visible();
    for (const [number, node] of this.nodes) if (number < first || number > last) { node.remove(); this.nodes.delete(number); }
    let before = this.spaces[0];
    for (let number = first; number <= last; number++) {
      const node = this.nodes.get(number) ?? this.newNode(number);
      if (before.nextSibling !== node) before.after(node);
      this.fill(number, node);
      before = node;
    }
    this.measure(first, last);
    if (this.isFollowing) this.toEnd();
    else if (anchor?.line.isConnected) this.view.scrollTop += anchor.line.getBoundingClientRect().top - anchor.top;
    this.lastTop = this.view.scrollTop;
    const [firstNow, lastNow] = this.visible();
    if (firstNow < first || lastNow > last) this.soon();
  }

  toEnd() { this.view.scrollTop = this.view.scrollHeight; }

  newNode(number) {
    const node = document.createElement("div");
    node.className = "chunk";
    this.nodes.set(number, node);
    return node;
  }

  fill(number, node) {
    if (this.chunks.kept.get(number)?.bytes.length) this.write(number, node);
    else { node.style.height = `${this.height(number)}px`; node.textContent = ""; node.written = 0; }
    if (!this.chunks.has(number, this.size)) {
      const { chunks } = this;
      this.trying(chunks.load(number, this.size)).then((came) => { if (came && this.chunks === chunks) this.soon(); });
    }
  }

  /* Write the lines of a chunk, or those that came since. */
  write(number, node) {
    const { bytes } = this.chunks.kept.get(number);
    if (node.written === bytes.length) return;
    if (!node.written) { node.style.height = ""; node.style_ = new Style(); }
    const lines = this.chunks.lines(number);
    if (lines === null) return this.goesOn(node, bytes.length);
    if (node.isOpen) node.lastChild?.remove(); // a line that had no end then
    for (const line of lines.slice(node.childElementCount)) node.append(this.line(line, node.style_));
    node.isOpen = lines.length > 0 && !lines.at(-1).isWhole;
    node.written = bytes.length;
  }

  goesOn(node, length) {
    const note = document.createElement("div");
    note.className = "line hint";
    note.textContent = "… the line goes on …";
    node.replaceChildren(note);
    node.written = length;
  }

  line({ offset, bytes, isWhole }, style) {
    const element = document.createElement("div");
    element.className = "line";
    element.offset = offset;
    const shown = textOf(lastState(bytes).subarray(0, LONGEST * 4));
    paint(element, shown.slice(0, LONGEST), style);
    const goesOn = !isWhole && bytes.length >= OVERLAP;
    if (shown.length > LONGEST || goesOn) element.append(this.rest(element, offset));
    this.mark(element);
    return element;
  }

  rest(element, offset) {
    const button = document.createElement("button");
    button.textContent = "Show all";
    button.addEventListener("click", async () => {
      let read;
      if (!await this.trying(this.chunks.read(offset, WHOLE).then((answer) => { read = answer.bytes; }))) return;
      const stop = read.indexOf(NEWLINE);
      element.textContent = "";
      paint(element, textOf(lastState(stop < 0 ? read : read.subarray(0, stop))), new Style());
      if (stop < 0 && read.length >= WHOLE - 4) element.append(" … (the rest is in the download)");
      this.soon();
    });
    return button;
  }

  measure(first, last) {
    let known = 0, sum = 0;
    for (let number = first; number <= last; number++) {
      if (!this.nodes.get(number).written) continue;
      this.heights.set(number, this.nodes.get(number).getBoundingClientRect().height);
      if (number < this.count - 1) { known++; sum += this.heights.get(number); }
    }
    if (known) this.usual = sum / known;
    this.spaces[0].style.height = `${this.above(first)}px`;
    this.spaces[1].style.height = `${this.above(this.count) - this.above(last + 1)}px`;
  }

  /* The first line that one sees, and where: it stays there, whatever is found out about the lines above. */
  anchor() {
    const top = this.view.getBoundingClientRect().top;
    for (const node of [...this.nodes].sort(([one], [other]) => one - other).map(([, node]) => node)) {
      if (!node.written || node.getBoundingClientRect().bottom <= top) continue;
      let low = 0, high = node.children.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (node.children[middle].getBoundingClientRect().bottom > top) high = middle; else low = middle + 1;
      }
      const line = node.children[low];
      return line && { line, top: line.getBoundingClientRect().top };
    }
    return null;
  }

  /* Show the line that begins at this byte. */
  async goTo(offset) {
    const number = Math.floor(offset / CHUNK);
    this.follow(false);
    this.current = offset;
    if (!this.chunks.has(number, this.size) && !await this.trying(this.chunks.load(number, this.size))) return;
    this.bring(offset, 1 / 3);
    this.markAll();
  }

  /* Scroll so that this line, whose chunk is here, is so far from the top, as a share of the height. */
  bring(offset, share) {
    const number = Math.floor(offset / CHUNK);
    for (let tries = 0; tries < 10; tries++) {
      const line = this.element(offset), { top, height } = this.view.getBoundingClientRect();
      if (line) this.view.scrollTop += line.getBoundingClientRect().top - top - height * share;
      else this.view.scrollTop = this.above(number) + this.height(number) * (offset / CHUNK - number);
      if (line && tries) break;
      this.render();
    }
    this.lastTop = this.view.scrollTop;
  }

  above(number) {
    let top = 0;
    for (let each = 0; each < number; each++) top += this.height(each);
    return top;
  }

  element(offset) {
    const node = this.nodes.get(Math.floor(offset / CHUNK));
    return node && [...node.children].find((each) => each.offset === offset);
  }

  mark(element) {
    element.classList.toggle("found", this.isFound.has(element.offset));
    element.classList.toggle("current", this.current === element.offset);
  }

  markAll() { for (const each of this.view.querySelectorAll(".line")) this.mark(each); }

  // Looking for something: the service looks, since this page has little of the log

  forget() { this.found = []; this.isFound = new Set(); this.place = -1; this.looked = 0; this.current = null; this.tell(""); this.markAll(); }

  async ask(what, query) {
    if (this.attempt) query.attempt = this.attempt;
    const answer = await fetch(`${this.address}/${what}?${new URLSearchParams(query)}`);
    if (!answer.ok || answer.redirected) throw new Error(answer.redirected ? "signed out" : `${answer.status}`);
    return answer.json();
  }

  async look(text) {
    const found = this.found;
    while (this.looked < this.target && found === this.found) {
      const answer = await this.ask("search", { text, offset: this.looked });
      if (found !== this.found || answer.next <= this.looked) return;
      for (const each of answer.lines) { found.push(each); this.isFound.add(each); }
      this.looked = answer.next;
      this.tell(`${found.length} lines so far`);
    }
  }

  async find(step) {
    const text = this.search.value;
    if (!text || this.isLooking) return;
    this.isLooking = true;
    const came = await this.trying(this.look(text));
    this.isLooking = false;
    if (!came) return;
    if (this.search.value !== text) return this.find(step);
    const { found } = this;
    if (!found.length) return this.tell("No line has this.");
    if (this.place < 0) this.place = this.nearest(step);
    else this.place = (this.place + step + found.length) % found.length;
    this.tell(`${this.place + 1} of ${found.length} ${found.length === 1 ? "line" : "lines"}`);
    await this.goTo(found[this.place]);
  }

  /* The first match behind what one sees, or the last one before it. */
  nearest(step) {
    const from = this.isFollowing ? -1 : this.anchor()?.line.offset ?? -1;
    const next = this.found.findIndex((each) => each >= from);
    return step > 0 ? Math.max(0, next) : (next <= 0 ? this.found.length : next) - 1;
  }

  async toError() {
    let line = null;
    if (!await this.trying(this.ask("error", {}).then((answer) => { line = answer.line; }))) return;
    if (line === null) return this.tell("No line looks like an error.");
    this.tell("");
    await this.grow(line + 1);
    await this.goTo(line);
  }

  // What comes while one watches; a tab in the background asks for nothing

  watch() {
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.leave(); else this.listenOn(); });
    if (!document.hidden) this.listenOn();
  }

  leave() { this.stream?.close(); this.stream = null; clearInterval(this.polling); }

  listenOn() {
    if (this.stream || this.hasEnded) return;
    const query = new URLSearchParams(this.chosen ? { attempt: this.chosen } : {});
    if (this.attempt) query.set("after", `${this.attempt}:${this.target}`);
    this.stream = new EventSource(`${this.address}/stream?${query}`);
    this.stream.addEventListener("message", ({ lastEventId }) => this.hear(lastEventId));
    this.stream.addEventListener("attempt", ({ data }) => { this.begin(Number(data), 0); this.tell(`Attempt ${data} has begun.`); });
    this.stream.addEventListener("end", () => this.end());
    this.stream.addEventListener("error", () => { if (this.stream?.readyState === EventSource.CLOSED) this.poll(); });
  }

  hear(id) {
    const [size, attempt = 1] = id.split(":").reverse().map(Number);
    if (attempt === this.attempt) this.grow(size);
    else this.begin(attempt, size);
  }

  async end() {
    this.leave();
    this.hasEnded = true;
    let size = this.target;
    if (this.attempt && await this.trying(this.chunks.read(this.target, 16).then((answer) => { size = answer.size; }))) await this.grow(size);
  }

  poll() {
    this.stream = null;
    clearInterval(this.polling);
    this.polling = setInterval(async () => {
      let size = 0;
      if (!await this.trying(this.chunks.read(this.target, 16).then((answer) => { size = answer.size; }))) return;
      this.grow(size);
    }, POLL_SECONDS * 1000);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  for (const each of document.querySelectorAll("section.log")) each.viewer = new Viewer(each);
});
