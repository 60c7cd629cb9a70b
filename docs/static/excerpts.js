// Below every search result, the text around the first word that was searched for. The texts come from page-texts.js,
// which docs/conf.py writes, since a page that is opened as a file may not read its neighbours.
document.addEventListener("DOMContentLoaded", () => {
  const results = document.getElementById("search-results");
  const words = (new URLSearchParams(location.search).get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
  if (!results || !words.length) return;

  const excerpt = (text) => {
    const lower = text.toLowerCase();
    const found = words.map((word) => lower.indexOf(word)).filter((index) => index >= 0);
    const start = Math.max(0, Math.min(...(found.length ? found : [0])) - 80);
    return `${start ? "…" : ""}${text.slice(start, start + 240)}…`;
  };
  const add = (item) => {
    const link = item.querySelector("a");
    const page = link && link.getAttribute("href").split("#")[0].replace(/\.html$/, "");
    const text = page && window.PAGE_TEXTS[page];
    if (!text || item.querySelector("p.excerpt")) return;
    const line = document.createElement("p");
    line.className = "excerpt";
    line.textContent = excerpt(text);
    item.append(line);
  };
  const addAll = () => results.querySelectorAll("ul.search > li").forEach(add);
  const script = document.createElement("script");
  script.src = "_static/page-texts.js";
  script.addEventListener("load", () => {
    addAll();
    new MutationObserver(addAll).observe(results, { childList: true, subtree: true });
  });
  document.head.append(script);
});
