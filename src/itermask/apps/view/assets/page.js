"use strict";
// Nothing leaves this page but ratings, and these go to the program that serves it, one after another.
const IDLE = 1200, SETTLE = 150; // ms after the last letter of a comment, and before a report is loaded
let longest = 4000;
const RATINGS = { good: "green", bad: "red", unsure: "amber" };
const byId = (name) => document.getElementById(name);
const token = document.querySelector("meta[name=token]").content;
const items = new Map(); // scan -> its line of the list
const pending = new Map(); // scan -> rating and comment that are not on the disk yet
let scans = [], ratings = {}, shown = [], current = null;
let queue = Promise.resolve(), typing = 0, loading = 0;

function make(name, text, kind) {
  const element = document.createElement(name);
  if (text !== undefined && text !== null) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

const number = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)).replace("-", "−");
const known = (value) => value !== null && value !== undefined;
const path = (place, name) => `${place}/${name.split("/").map(encodeURIComponent).join("/")}`;
const ratingOf = (scan) => pending.get(scan) || ratings[scan] || { rating: "", comment: "" };
const same = (one, other) => one.rating === other.rating && one.comment === other.comment;

function figures(scan, whole) {
  const parts = [];
  if (known(scan.score)) {
    const healthy = known(scan.healthy_p95) ? ` (healthy up to ${number(scan.healthy_p95)})` : "";
    const median = known(scan.healthy_median) ? `; healthy scans’ median ${number(scan.healthy_median)}` : "";
    parts.push(`score ${number(scan.score)}${healthy}${whole ? median : ""}`);
  }
  if (whole && known(scan.percentile)) parts.push(`higher than ${number(scan.percentile)} % of healthy scans`);
  if (known(scan.anomaly_ml)) {
    const share = whole && known(scan.anomaly_fraction) ? `, ${(100 * scan.anomaly_fraction).toFixed(2)} % of the brain` : "";
    parts.push(`anomaly ${scan.anomaly_ml.toFixed(1)} mL${share}`);
  }
  if (whole && scan.model) parts.push(`model ${scan.model}`);
  return parts;
}

// Left half: up to the healthy scans' 95th percentile.
function range(scan) {
  const bar = make("span", null, "range"), mark = make("i");
  bar.setAttribute("aria-hidden", "true");
  mark.style.left = `${Math.min(100, Math.max(0, (50 * scan.score) / scan.healthy_p95))}%`;
  bar.append(mark);
  return bar;
}

function line(scan) {
  const button = make("button", null, `item ${scan.tone}`), words = make("span"), picture = make("span", null, "picture");
  button.type = "button";
  if (scan.report) {
    const image = make("img");
    image.alt = "";
    image.loading = "lazy";
    image.addEventListener("error", () => image.remove());
    image.src = path("thumbnails", scan.report);
    picture.append(image);
  }
  const name = make("b", scan.name), second = make("span", null, "line");
  second.append(make("span", scan.verdict, "verdict"), make("span", "", "mark"));
  words.append(name, make("span", [scan.sequence, scan.title, scan.about].filter(Boolean).join(" · "), "quiet"), second);
  for (const part of figures(scan, false)) words.append(make("span", part, "quiet"));
  if (scan.reason) words.append(make("span", scan.reason, "quiet"));
  if (known(scan.score) && scan.healthy_p95 > 0) words.append(range(scan));
  button.append(picture, words);
  button.addEventListener("click", () => open(scan));
  const item = make("li");
  item.append(button);
  return item;
}

function mark(scan) {
  const { rating, comment } = ratingOf(scan), badge = items.get(scan).querySelector(".mark");
  const who = ratings[scan]?.rater && !pending.has(scan) ? ` by ${ratings[scan].rater}` : "";
  badge.textContent = (rating || (comment ? "comment" : "")) + (rating || comment ? who : "") + (pending.has(scan) ? ", not saved" : "");
  badge.hidden = !badge.textContent;
  badge.className = `mark ${RATINGS[rating] || "grey"}`;
}

function matches(scan) {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const { rating, comment } = ratingOf(scan.scan), wanted = byId("rated").value;
  const text = [scan.name, scan.title, scan.about, scan.sequence, scan.verdict, scan.headline, scan.model, scan.reason, comment, ...scan.notes]
    .join(" ").toLowerCase();
  return words.every((word) => text.includes(word)) && [scan.verdict, ""].includes(byId("verdict").value)
    && (!wanted || (wanted === "none" ? !rating : wanted === "any" ? Boolean(rating) : rating === wanted));
}

const last = (value) => (known(value) ? value : -Infinity);
const ORDERS = {
  worst: () => 0, // as they come
  best: (one, other) => Boolean(one.reason) - Boolean(other.reason) || scans.indexOf(other) - scans.indexOf(one),
  volume: (one, other) => (last(other.anomaly_ml) > last(one.anomaly_ml)) - (last(other.anomaly_ml) < last(one.anomaly_ml)),
  name: (one, other) => one.name.localeCompare(other.name, "en", { numeric: true }),
};

// The list stays as it is while scans are rated, whatever the filter, so that nothing moves away under the reader.
function list() {
  shown = scans.filter(matches).sort(ORDERS[byId("order").value]);
  byId("list").replaceChildren(...shown.map((scan) => items.get(scan.scan)));
  count();
}

function count() {
  const rated = scans.filter((scan) => ratingOf(scan.scan).rating).length;
  byId("count").textContent = `${shown.length} of ${scans.length} scans shown, ${rated} rated`;
}

function open(scan, focus) {
  keepComment();
  if (current) items.get(current.scan).firstChild.removeAttribute("aria-current");
  current = scan;
  const button = items.get(scan.scan).firstChild;
  button.setAttribute("aria-current", "true");
  button.scrollIntoView({ block: "nearest" });
  if (focus) button.focus({ preventScroll: true });
  history.replaceState(null, "", `#${encodeURIComponent(scan.scan)}`);
  byId("bar").hidden = false;
  byId("back").hidden = true;
  byId("name").textContent = scan.name;
  byId("said").textContent = scan.headline ? `${scan.verdict}. ${scan.headline}` : scan.verdict;
  byId("said").className = `verdict ${scan.tone}`;
  byId("figures").textContent = [scan.about, scan.sequence, ...figures(scan, true)].filter(Boolean).join(" · ");
  byId("notes").replaceChildren(...scan.notes.map((note) => make("li", note)));
  byId("tab").hidden = !scan.report;
  if (scan.report) byId("tab").href = path("results", scan.report);
  byId("comment").value = ratingOf(scan.scan).comment;
  left();
  byId("saved").textContent = "";
  press();
  clearTimeout(loading);
  byId("report").replaceChildren(); // never the report of another scan
  loading = setTimeout(report, SETTLE, scan);
}

function report(scan) {
  if (!scan.report) {
    const words = scan.reason ? `This scan could not be processed: ${scan.reason}` : "There is no report of this scan.";
    byId("report").replaceChildren(make("p", words, `reason ${scan.tone}`));
    return;
  }
  const frame = make("iframe");
  frame.title = `Report of ${scan.name}`;
  frame.setAttribute("sandbox", "allow-scripts");
  frame.src = path("results", scan.report);
  byId("report").replaceChildren(frame);
}

function press() {
  const { rating, comment } = ratingOf(current.scan), said = ratings[current.scan];
  for (const button of document.querySelectorAll(".rate")) {
    if (button.dataset.rating) button.setAttribute("aria-pressed", String(button.dataset.rating === rating));
    else button.disabled = !rating;
  }
  if (!pending.has(current.scan) && said) {
    const what = rating || comment ? "saved" : "withdrawn";
    byId("saved").textContent = `${what} ${new Date(said.time).toLocaleString()} by ${said.rater}`;
  }
}

function step(by) {
  const place = shown.indexOf(current);
  const next = shown[place < 0 ? 0 : place + by];
  if (next) open(next, true);
  else byId("news").textContent = by > 0 ? "This is the last scan of the list." : "This is the first scan of the list.";
}

function rate(rating) {
  if (!current) return;
  const scan = current;
  clearTimeout(typing);
  keep(scan, { rating, comment: byId("comment").value });
  if (rating && byId("onward").checked) step(1);
}

function keepComment() {
  clearTimeout(typing);
  if (!current) return;
  const before = ratingOf(current.scan), comment = byId("comment").value;
  if (comment.trim() !== before.comment.trim()) keep(current, { rating: before.rating, comment });
}

function keep(scan, said) {
  pending.set(scan.scan, said);
  mark(scan.scan);
  count();
  if (scan === current) {
    byId("saved").textContent = "saving …";
    press();
  }
  queue = queue.then(flush);
}

// A rating that was given since this page was loaded is never replaced without being asked for.
function overrule(scan, said, { now, version }) {
  const words = now ? `${now.rating || "no rating"}${now.comment ? `, “${now.comment}”` : ""}, by ${now.rater}` : "nothing";
  const mine = `${said.rating || "no rating"}${said.comment ? `, “${said.comment}”` : ""}`;
  const keeps = window.confirm(`${scan} was rated elsewhere meanwhile: ${words}.\n\nReplace it by yours: ${mine}?`);
  ratings[scan] = { ...(now ?? { rating: "", comment: "", rater: "", time: "" }), version };
  if (!keeps) {
    pending.delete(scan);
    if (current?.scan === scan) {
      byId("comment").value = ratings[scan].comment;
      press();
    }
  }
  mark(scan);
  return keeps;
}

function left() {
  const used = byId("comment").value.length;
  byId("left").textContent = used > longest - 500 ? `${used} of ${longest} letters` : "";
}

async function flush() {
  for (const [scan, said] of [...pending]) {
    try {
      const answer = await fetch("ratings", {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Token": token },
        body: JSON.stringify({ scan, ...said, seen: ratings[scan]?.version ?? 0 }),
        keepalive: true,
      });
      const told = await answer.json().catch(() => ({ problem: `answer ${answer.status}` }));
      if (answer.status === 409) {
        if (!overrule(scan, said, told)) continue;
        queue = queue.then(flush);
        return;
      }
      if (!answer.ok) throw new Error(told.problem);
      ratings[scan] = told;
    } catch (problem) {
      tell(`Not saved: ${problem instanceof TypeError ? "no answer; is itermask view still running?" : problem.message}`);
      mark(scan);
      if (current?.scan === scan) byId("saved").textContent = "not saved";
      return;
    }
    if (same(pending.get(scan) ?? said, said)) pending.delete(scan);
    mark(scan);
    byId("news").textContent = `${scan}: ${ratings[scan].rating || "no rating"}, saved`;
    if (current?.scan === scan) press();
  }
  tell("");
}

function tell(words) {
  byId("problem-words").textContent = words;
  byId("problem").hidden = !words;
}

const KEYS = {
  n: () => step(1), j: () => step(1), p: () => step(-1), k: () => step(-1),
  g: () => rate("good"), 1: () => rate("good"), b: () => rate("bad"), 2: () => rate("bad"),
  u: () => rate("unsure"), 3: () => rate("unsure"), 0: () => rate(""),
  c: () => byId("comment").focus(), "/": () => byId("search").focus(),
};

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const typed = event.target.closest("textarea, select, input:not([type=checkbox])");
  if (typed) {
    if (event.key === "Escape") typed.blur();
    return;
  }
  const arrow = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (arrow && event.target.closest("#list")) step(arrow);
  else if (byId("keys").checked && Object.hasOwn(KEYS, event.key) && !event.repeat) KEYS[event.key]();
  else if (byId("keys").checked && event.repeat && "njpk".includes(event.key)) KEYS[event.key]();
  else return;
  event.preventDefault();
}

async function start() {
  let state;
  try {
    const answer = await fetch("state.json", { cache: "no-store" });
    state = await answer.json();
    if (!answer.ok) throw new Error(state.problem);
  } catch (problem) {
    tell(`The list cannot be shown: ${problem.message}`);
    byId("again").hidden = true;
    return;
  }
  ({ scans, ratings, longest } = state);
  byId("comment").maxLength = longest;
  byId("rater").textContent = `Rater: ${state.rater}`;
  for (const scan of scans) items.set(scan.scan, line(scan));
  for (const scan of scans) mark(scan.scan);
  for (const verdict of new Set(scans.map((scan) => scan.verdict))) byId("verdict").append(make("option", verdict));
  list();
  const wanted = decodeURIComponent(location.hash.slice(1));
  const first = scans.find((scan) => scan.scan === wanted) || shown[0];
  if (first) open(first);
}

byId("filters").addEventListener("input", list);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("again").addEventListener("click", () => { queue = queue.then(flush); });
byId("back").addEventListener("click", () => items.get(current.scan).firstChild.focus());
byId("comment").addEventListener("input", () => { left(); clearTimeout(typing); typing = setTimeout(keepComment, IDLE); });
byId("comment").addEventListener("change", keepComment);
for (const button of document.querySelectorAll(".rate")) button.addEventListener("click", () => rate(button.dataset.rating));
document.addEventListener("keydown", pressed);
addEventListener("blur", () => setTimeout(() => { byId("back").hidden = document.activeElement?.tagName !== "IFRAME"; }));
addEventListener("focus", () => { byId("back").hidden = true; });
addEventListener("pagehide", keepComment);
addEventListener("beforeunload", (event) => { keepComment(); if (pending.size) event.preventDefault(); });
start();
