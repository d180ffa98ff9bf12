// The text of a log, for its viewer (log.js): the bytes in chunks, their lines, and what a terminal would show of one.
// api/ui/log_lines.py reads lines by the same rules.

export const CHUNK = 32 * 1024, OVERLAP = 8 * 1024; // bytes; the last line of a chunk ends behind it
export const NEWLINE = 10;
const CHUNKS_KEPT = 64; // chunks in memory

const SEQUENCE = /(?:\x1b\[|\x9b)([0-?]*)[ -/]*([@-~])|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -~]?/g;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const decoder = new TextDecoder();

export const textOf = (bytes) => decoder.decode(bytes);

/* Colours and weights (SGR) of a terminal as classes. All its other sequences are dropped. */
export class Style {
  constructor() { this.reset(); }
  reset() { this.colour = -1; this.is = new Set(); }
  get classes() { return [...this.is, ...(this.colour < 0 ? [] : [`ansi${this.colour}`])].join(" "); }

  take(codes) {
    const all = codes.split(/[;:]/).map(Number);
    for (let i = 0; i < all.length; i++) {
      const code = all[i];
      if (code === 0) this.reset();
      else if (code === 38 || code === 48) { // of 256, or of three parts
        if (code === 38) this.colour = all[i + 1] === 5 && all[i + 2] < 16 ? all[i + 2] % 8 : -1;
        i += all[i + 1] === 5 ? 2 : 4;
      } else if (code >= 30 && code <= 37) this.colour = code - 30;
      else if (code >= 90 && code <= 97) this.colour = code - 90;
      else if (code === 39) this.colour = -1;
      else if (code === 22) { this.is.delete("bold"); this.is.delete("faint"); }
      else for (const [name, on, off] of [["bold", 1], ["faint", 2], ["italic", 3, 23], ["underline", 4, 24]]) {
        if (code === on) this.is.add(name);
        if (code === off) this.is.delete(name);
      }
    }
  }
}

export function paint(element, text, style) {
  const add = (piece) => {
    const plain = piece.replace(CONTROL, "");
    if (!plain) return;
    if (!style.classes) return element.append(plain);
    const span = document.createElement("span");
    span.className = style.classes;
    span.textContent = plain;
    element.append(span);
  };
  let at = 0;
  for (const found of text.matchAll(SEQUENCE)) {
    add(text.slice(at, found.index));
    if (found[2] === "m") style.take(found[1]);
    at = found.index + found[0].length;
  }
  add(text.slice(at));
}

/* What a progress bar showed last: what was written before a carriage return is overwritten. */
export function lastState(bytes) {
  let end = bytes.length;
  while (end && bytes[end - 1] === 13) end--;
  return bytes.subarray(bytes.lastIndexOf(13, end - 1) + 1, end);
}

/* The bytes of one attempt's log, in chunks. Those not used for the longest time are dropped, and asked for again. */
export class Chunks {
  /* ``hears`` is told how long the log is, whenever some of it was read. */
  constructor(address, attempt, hears) { this.address = address; this.attempt = attempt; this.hears = hears; this.kept = new Map(); }

  async read(offset, limit) {
    const query = new URLSearchParams({ offset, limit: Math.max(16, limit) });
    if (this.attempt) query.set("attempt", this.attempt);
    const answer = await fetch(`${this.address}/part?${query}`, { headers: { Accept: "text/plain" } });
    if (!answer.headers.has("X-Log-Size")) throw new Error(answer.redirected ? "signed out" : `${answer.status}`);
    return { bytes: new Uint8Array(await answer.arrayBuffer()), size: Number(answer.headers.get("X-Log-Size")) };
  }

  /* Whether there is nothing to read for this chunk of a log with so many bytes. */
  has(number, size) {
    const chunk = this.kept.get(number);
    return Boolean(chunk) && chunk.from + chunk.bytes.length >= Math.min((number + 1) * CHUNK + OVERLAP, size);
  }

  async load(number, size) {
    const chunk = this.kept.get(number) ?? { from: Math.max(0, number * CHUNK - 1), bytes: new Uint8Array() };
    chunk.loading ??= this.extend(number, chunk, size).finally(() => { chunk.loading = null; });
    this.kept.set(number, chunk);
    await chunk.loading;
  }

  async extend(number, chunk, size) {
    const wanted = Math.min((number + 1) * CHUNK + OVERLAP, size) - chunk.from - chunk.bytes.length;
    if (wanted <= 0) return;
    const { bytes, size: newest } = await this.read(chunk.from + chunk.bytes.length, wanted);
    const joined = new Uint8Array(chunk.bytes.length + bytes.length);
    joined.set(chunk.bytes);
    joined.set(bytes, chunk.bytes.length);
    chunk.bytes = joined;
    this.kept.delete(number);
    this.kept.set(number, chunk); // the last of all
    this.hears(newest);
    for (const old of this.kept.keys()) if (this.kept.size > CHUNKS_KEPT && !this.kept.get(old).loading) this.kept.delete(old);
  }

  /* The lines that begin in the chunk; null if it is in the midst of a line. */
  lines(number) {
    const { from, bytes } = this.kept.get(number), end = Math.min((number + 1) * CHUNK - from, bytes.length), found = [];
    let at = from && bytes[0] === NEWLINE ? 1 : from ? bytes.indexOf(NEWLINE) + 1 : 0;
    if (from && at === 0) return null;
    if (at >= CHUNK) return at > CHUNK ? null : [];
    while (at < end) {
      const stop = bytes.indexOf(NEWLINE, at), isWhole = stop >= 0;
      found.push({ offset: from + at, bytes: bytes.subarray(at, isWhole ? stop : bytes.length), isWhole });
      at = isWhole ? stop + 1 : bytes.length;
    }
    return found;
  }
}
