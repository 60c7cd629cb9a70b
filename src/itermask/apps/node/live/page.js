"use strict";
// Asks the node for its state once a second, and changes only what is different, so that readers are not disturbed.
const PERIOD = 1000, LOST = 4000;
const byId = (name) => document.getElementById(name);
const known = new Map(); // row id -> its state as text
const closed = new Set(); // studies whose series are not shown
const verdicts = new Map(); // row id -> verdict that was announced
const told = (name) => document.querySelector(`meta[name=${name}]`).content;
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
  const verdict = make("td");
  if (row.verdict) verdict.append(make("span", row.verdict, `verdict ${row.tone}`));
  if (row.headline) verdict.append(make("div", row.headline, "quiet"));
  if (row.seen) verdict.append(make("div", `seen ${time(row.seen.time)}${row.seen.name ? ` by ${row.seen.name}` : ""}`, "quiet"));
  const name = make("th", row.label, "name");
  name.scope = "row";
  name.append(make("div", `${row.images} image${row.images === 1 ? "" : "s"}`, "quiet"));
  line.append(verdict, name, make("td", time(row.received), "number"), make("td", row.state), make("td", row.sender));
  line.append(make("td", number(row.score, 3), "number"), make("td", number(row.percentile, 3), "number"));
  line.append(make("td", percent(row.anomaly_fraction), "number"));
  const report = make("td");
  if (row.report) report.append(link(row, "report"));
  const sent = make("td");
  for (const delivery of row.deliveries) sent.append(make("div", delivery.words, delivery.state.split(" ")[0]));
  line.append(report, sent, make("td", row.notes.join(" "), "text"));
  const titles = document.querySelectorAll("#rows thead th"); // which a phone shows beside each value
  [...line.cells].forEach((cell, place) => { cell.dataset.label = titles[place].textContent; });
  return line;
}

const whose = (row) => [row.code, row.patient, row.when, row.scanner].filter(Boolean).join(" · ");

// Says whether a study's series are shown, and changes it.
function fold(study, count) {
  const button = make("button", null, "fold"), body = () => byId(`study-${study}`);
  const say = () => {
    button.textContent = `${closed.has(study) ? "Show" : "Hide"} ${count} series`;
    button.setAttribute("aria-expanded", String(!closed.has(study)));
  };
  button.type = "button";
  button.addEventListener("click", () => {
    if (!closed.delete(study)) closed.add(study);
    body().className = closed.has(study) ? "closed" : "";
    say();
  });
  say();
  return button;
}

// The study's one line over its series.
function studyRow(study) {
  const line = make("tr", null, `study ${study.tone}`), cell = make("th");
  cell.scope = "rowgroup";
  cell.colSpan = 11;
  cell.append(make("b", whose(study)), fold(study.study, study.rows.length));
  cell.append(make("div", upper(study.words) || "Nothing yet"));
  const ends = make("p", `${upper(study.closing)}. `, "quiet ends");
  if (study.summary) {
    const link = make("a", "Summary");
    link.href = study.summary;
    link.target = "_blank";
    link.rel = "noopener";
    link.setAttribute("aria-label", `Summary of ${study.code}`);
    ends.append(link);
  }
  for (const delivery of study.deliveries) ends.append(make("span", ` ${upper(delivery.words)}.`, delivery.state.split(" ")[0]));
  cell.append(ends);
  line.append(cell);
  return line;
}

function card(row, old) {
  const parts = [make("p", upper(row.verdict), "big"), make("p", whose(row), "whose")];
  if (old) parts.unshift(make("p", `${old} What stands here is of an earlier one.`, "old"));
  parts.push(make("p", `${row.label}, received ${time(row.received)}`));
  const facts = [];
  if (row.score !== null && row.score !== undefined) facts.push(`score ${number(row.score, 3)}`);
  if (row.percentile !== null && row.percentile !== undefined) {
    facts.push(`higher than ${number(row.percentile, 3)} % of healthy scans`);
  }
  if (row.seconds !== null) facts.push(`${row.seconds} s after the last image`);
  if (facts.length) parts.push(make("p", upper(facts.join(", ")) + "."));
  if (row.headline) parts.splice(old ? 2 : 1, 0, make("p", row.headline + "."));
  for (const note of row.notes) parts.push(make("p", note, "quiet"));
  if (row.report) {
    const where = make("p");
    where.append(link(row, "Open the report"));
    parts.push(where);
  }
  byId("latest").className = `card ${old ? "grey" : row.tone}`;
  replace(byId("latest"), parts);
}

// Kept by the node with the time, so that it is seen in every tab; the alarm stays until the node has said so.
async function seen(row, button) {
  button.disabled = true;
  try {
    const answer = await fetch("seen", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Token": told("token") },
      body: JSON.stringify({ run: row.id, verdict: row.verdict, name: byId("who").value }),
    });
    if (!answer.ok) throw new Error(await answer.text());
  } catch (problem) {
    button.disabled = false;
    byId("connection").textContent = `Not kept as seen: ${problem instanceof TypeError ? "no answer from the node" : problem.message}`;
    byId("connection").hidden = false;
  }
}

function alarms(rows) {
  const wanted = rows.filter((row) => row.alert && !row.seen);
  const box = byId("alerts");
  for (const element of [...box.children]) {
    if (!wanted.some((row) => element.dataset.key === `${row.id} ${row.report} ${row.verdict}`)) element.remove();
  }
  for (const row of wanted) {
    const key = `${row.id} ${row.report} ${row.verdict}`;
    if ([...box.children].some((element) => element.dataset.key === key)) continue;
    const alarm = make("div", null, `alarm ${row.tone}`);
    alarm.dataset.key = key;
    const words = make("p", `${upper(row.verdict)}: ${[row.code, row.patient, row.label].filter(Boolean).join(", ")}. Look at it while the patient is there. `);
    if (row.report) words.append(link(row, "Report"));
    const button = make("button", "Seen");
    button.type = "button";
    button.setAttribute("aria-label", `Seen: ${row.label}`);
    button.addEventListener("click", () => seen(row, button));
    alarm.append(words, button);
    box.append(alarm);
  }
}

function title(rows) {
  const open = rows.filter((row) => row.alert && !row.seen).length;
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

// One group of rows a study; only what has changed is made anew.
function table(state) {
  const place = byId("rows"), rows = new Map(state.rows.map((row) => [row.id, row]));
  const wanted = state.studies.filter((study) => study.rows.length);
  const ids = new Set(wanted.map((study) => `study-${study.study}`));
  for (const body of [...place.tBodies]) if (!ids.has(body.id)) body.remove();
  wanted.forEach((study, index) => {
    const mine = study.rows.map((id) => rows.get(id)), text = JSON.stringify([study, mine]);
    let body = byId(`study-${study.study}`);
    if (!body) {
      body = make("tbody");
      body.id = `study-${study.study}`;
      known.delete(body.id);
    }
    if (place.tBodies[index] !== body) place.insertBefore(body, place.tBodies[index] || null);
    if (known.get(body.id) === text) return;
    known.set(body.id, text);
    const focused = body.contains(document.activeElement) && document.activeElement.className === "fold";
    const before = new Map([...body.children].map((line) => [line.id, line]));
    replace(body, [studyRow(study), ...mine.map((row) => {
      const there = before.get(`row-${row.id}`);
      if (there && known.get(row.id) === JSON.stringify(row)) return there;
      known.set(row.id, JSON.stringify(row));
      return tableRow(row);
    })]);
    if (focused) body.querySelector(".fold").focus();
  });
}

function show(state) {
  byId("node").textContent = state.node;
  byId("space").textContent = `Disk: ${state.space}. ${state.waiting} series waiting or being processed.`;
  const receiving = state.receiving.map((each) => {
    const of = each.announced ? ` of ${each.announced}` : "";
    return make("li", `${[each.code, each.patient, each.label].filter(Boolean).join(", ")} from ${each.sender}: ${each.images}${of} images`);
  });
  replace(byId("receiving"), receiving.length ? receiving : [make("li", "nothing")]);
  table(state);
  byId("empty").hidden = state.rows.length > 0;
  byId("identity").hidden = state.patient === "off";
  if (state.latest) card(state.rows.find((row) => row.id === state.latest.id), state.latest.old);
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

byId("asked").hidden = Boolean(told("who"));
byId("who").value = told("who") || localStorage.getItem("who") || "";
byId("who").addEventListener("change", () => localStorage.setItem("who", byId("who").value));
ask();
