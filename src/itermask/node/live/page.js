"use strict";
// Asks the node for its state once a second, and changes only what is different, so that readers are not disturbed.
const PERIOD = 1000, LOST = 4000;
const byId = (name) => document.getElementById(name);
const known = new Map(); // row id -> its state as text
const verdicts = new Map(); // row id -> verdict that was announced
let tag = "", heard = Date.now(), first = true;

function make(name, text, kind) {
  const element = document.createElement(name);
  if (text !== undefined && text !== null) element.textContent = text;
  if (kind) element.className = kind;
  return element;
}

function replace(parent, children) {
  parent.replaceChildren(...children);
}

const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const upper = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const number = (value, digits) => (value === null || value === undefined ? "–" : Number(value).toPrecision(digits));
const percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(2)} %`);

function link(row, text) {
  const element = make("a", text);
  element.href = row.report;
  element.target = "_blank";
  element.rel = "noopener";
  element.setAttribute("aria-label", `Report of ${row.label}`);
  return element;
}

function tableRow(row) {
  const line = make("tr");
  line.id = `row-${row.id}`;
  line.append(make("td", time(row.received), "number"));
  const name = make("th", row.label, "name");
  name.scope = "row";
  name.append(make("div", `${row.images} image${row.images === 1 ? "" : "s"}`, "quiet"));
  line.append(name, make("td", row.sender), make("td", row.state));
  const verdict = make("td");
  if (row.verdict) verdict.append(make("span", row.verdict, `verdict ${row.tone}`));
  line.append(verdict, make("td", number(row.score, 3), "number"), make("td", number(row.percentile, 3), "number"));
  line.append(make("td", percent(row.anomaly_fraction), "number"));
  const report = make("td");
  if (row.report) report.append(link(row, "report"));
  const sent = make("td");
  for (const delivery of row.deliveries) sent.append(make("div", delivery.words, delivery.state.split(" ")[0]));
  line.append(report, sent, make("td", row.notes.join(" "), "text"));
  return line;
}

function card(row) {
  const parts = [make("p", upper(row.verdict), "big"), make("p", `${row.label}, received ${time(row.received)}`)];
  const facts = [];
  if (row.score !== null && row.score !== undefined) facts.push(`score ${number(row.score, 3)}`);
  if (row.percentile !== null && row.percentile !== undefined) {
    facts.push(`higher than ${number(row.percentile, 3)} % of healthy scans`);
  }
  if (row.seconds !== null) facts.push(`${row.seconds} s after the last image`);
  if (facts.length) parts.push(make("p", upper(facts.join(", ")) + "."));
  if (row.headline) parts.splice(1, 0, make("p", row.headline + "."));
  for (const note of row.notes) parts.push(make("p", note, "quiet"));
  if (row.report) {
    const where = make("p");
    where.append(link(row, "Open the report"));
    parts.push(where);
  }
  byId("latest").className = `card ${row.tone}`;
  replace(byId("latest"), parts);
}

function isSeen(row) {
  return sessionStorage.getItem(`seen-${row.id}-${row.received}`) !== null;
}

function alarms(rows) {
  const wanted = rows.filter((row) => row.alert && !isSeen(row)).slice(0, 5);
  const box = byId("alerts");
  for (const element of [...box.children]) {
    if (!wanted.some((row) => element.dataset.key === `${row.id} ${row.report}`)) element.remove();
  }
  for (const row of wanted) {
    const key = `${row.id} ${row.report}`;
    if ([...box.children].some((element) => element.dataset.key === key)) continue;
    const alarm = make("div", null, `alarm ${row.tone}`);
    alarm.dataset.key = key;
    const words = make("p", `${upper(row.verdict)}: ${row.label}. Look at it while the patient is there. `);
    if (row.report) words.append(link(row, "Report"));
    const button = make("button", "Seen");
    button.type = "button";
    button.setAttribute("aria-label", `Seen: ${row.label}`);
    button.addEventListener("click", () => {
      sessionStorage.setItem(`seen-${row.id}-${row.received}`, "1");
      alarm.remove();
      title(rows);
    });
    alarm.append(words, button);
    box.append(alarm);
  }
}

function title(rows) {
  const open = rows.filter((row) => row.alert && !isSeen(row)).length;
  document.title = (open ? `(${open} !) ` : "") + `Scanner node – itermask`;
}

function announce(rows) {
  const news = [];
  for (const row of rows) {
    if (row.verdict && verdicts.get(row.id) !== row.verdict) {
      verdicts.set(row.id, row.verdict);
      if (!first) news.push(`${row.label}: ${row.verdict}.`);
    }
  }
  if (news.length) byId("news").textContent = news.join(" ");
}

function show(state) {
  byId("node").textContent = state.node;
  byId("space").textContent = `Disk: ${state.space}. ${state.waiting} series waiting or being looked at.`;
  const receiving = state.receiving.map((each) => {
    const of = each.announced ? ` of ${each.announced}` : "";
    return make("li", `${each.label} from ${each.sender}: ${each.images}${of} images`);
  });
  replace(byId("receiving"), receiving.length ? receiving : [make("li", "nothing")]);
  const body = byId("rows");
  const ids = new Set(state.rows.map((row) => `row-${row.id}`));
  for (const line of [...body.children]) if (!ids.has(line.id)) line.remove();
  state.rows.forEach((row, place) => {
    const text = JSON.stringify(row);
    const there = byId(`row-${row.id}`);
    if (there && known.get(row.id) === text) return;
    known.set(row.id, text);
    const line = tableRow(row);
    if (there) there.replaceWith(line);
    else body.insertBefore(line, body.children[place] || null);
  });
  byId("empty").hidden = state.rows.length > 0;
  const latest = state.rows.find((row) => row.verdict && (row.tone !== "failed" || row.alert));
  if (latest) card(latest);
  alarms(state.rows);
  announce(state.rows);
  title(state.rows);
  first = false;
}

async function ask() {
  try {
    const answer = await fetch("state.json", {
      headers: tag ? { "If-None-Match": tag } : {},
      cache: "no-store",
      signal: AbortSignal.timeout(LOST),
    });
    if (answer.status === 200) {
      const state = await answer.json();
      tag = answer.headers.get("ETag") || "";
      show(state);
    } else if (answer.status !== 304) {
      throw new Error(String(answer.status));
    }
    heard = Date.now();
    byId("connection").hidden = true;
  } catch (error) {
    if (Date.now() - heard > LOST && byId("connection").hidden) {
      byId("connection").textContent = `No answer from the node since ${time(heard / 1000)}: what stands here may be old.`;
      byId("connection").hidden = false;
    }
  }
  setTimeout(ask, PERIOD);
}

ask();
