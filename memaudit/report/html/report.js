"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const root = document.documentElement;

  // Light, dark, or as the system says; remembered where the browser allows it.
  const themes = ["auto", "light", "dark"];
  let theme = "auto";
  try { theme = localStorage.getItem("memaudit-theme") || "auto"; } catch { /* no storage for files in this browser */ }
  const dress = () => {
    if (!themes.includes(theme)) theme = "auto";
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    $("theme").textContent = "Theme: " + theme;
  };
  $("theme").hidden = false;
  $("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("memaudit-theme", theme); } catch { /* the same */ }
    dress();
  });
  dress();

  const opened = [];
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("#cards details:not([open])")) { one.open = true; opened.push(one); }
  });
  addEventListener("afterprint", () => { for (const one of opened.splice(0)) one.open = false; });

  if (!$("browser")) return;

  // Rows as arrays; their order is that of `lines` in views.py.
  const NAMES = ["fingerprint", "kind", "severity", "risk", "text", "rows", "texts", "images", "domains", "verdict", "rate",
    "suppressed", "head", "variants", "rule", "cluster", "card"];
  const data = JSON.parse($("data").textContent);
  const SEVERITIES = ["info", "low", "medium", "high", "critical"];
  const KINDS = ["exact", "near", "template"];
  const WORST = ["unverified", "not_run", "error", "screened", "not_replicated", "template", "verbatim"];
  const all = data.rows.map((values, at) => {
    const row = Object.fromEntries(NAMES.map((name, i) => [name, values[i]]));
    row.at = at;
    row.verdict = row.verdict || "unverified";
    row.found = (row.text + " " + row.fingerprint + " " + row.rule + " " + row.cluster).toLowerCase();
    return row;
  });
  const byName = new Map(all.map((row) => [row.fingerprint, row]));
  const cards = new Map([...document.querySelectorAll("#cards .card")].map((card) => [card.dataset.fingerprint, card]));
  const number = new Intl.NumberFormat("en-US");
  const spoken = (name) => name.replaceAll("_", " ");
  const make = (tag, cls, text) => {
    const made = document.createElement(tag);
    if (cls) made.className = cls;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // Columns: title, what is compared, whether larger comes first, and the cell.
  const dotted = (cls, text) => {
    const cell = make("td");
    cell.append(make("i", "dot " + cls), text);
    return cell;
  };
  const figure = (value) => make("td", "num", value === null ? "" : number.format(value));
  const COLUMNS = {
    risk: ["risk", (r) => r.risk, true, (r) => make("td", "", r.risk.toFixed(2))],
    severity: ["severity", (r) => SEVERITIES.indexOf(r.severity), true, (r) => dotted("s-" + r.severity, r.severity)],
    kind: ["kind", (r) => KINDS.indexOf(r.kind), false, (r) => make("td", "", r.kind)],
    text: ["template or caption", (r) => r.text, false, (r) => {
      const cell = make("td");
      const link = make("a", r.kind === "template" ? "template" : "caption");
      link.href = "#f=" + r.fingerprint;
      link.title = r.text;
      link.tabIndex = -1;
      link.append(make("bdi", "", r.text));
      cell.append(link);
      if (r.suppressed) cell.append(make("span", "quiet", " suppressed"));
      return cell;
    }],
    rows: ["rows", (r) => r.rows, true, (r) => figure(r.rows)],
    texts: ["captions", (r) => r.texts, true, (r) => figure(r.texts)],
    images: ["pictures", (r) => r.images ?? -1, true, (r) => figure(r.images)],
    more: ["variants", (r) => r.variants, true, (r) => make("td", "num quiet", r.variants ? "+" + number.format(r.variants) : "")],
    verdict: ["verdict", (r) => WORST.indexOf(r.verdict) + (r.rate ?? 0) / 2, true, (r) => {
      if (r.verdict === "unverified") return make("td", "quiet", "–");
      const rate = r.rate === null ? "" : " " + Math.round(100 * r.rate) + " %";
      return dotted("v-" + r.verdict, spoken(r.verdict) + rate);
    }],
  };
  if (all.every((r) => r.images === null)) delete COLUMNS.images;
  if (all.every((r) => r.verdict === "unverified")) delete COLUMNS.verdict;

  // What is chosen. The hash of the address holds it, so that a view and a finding can be sent as a link.
  const START = { q: "", severity: [], kind: [], verdict: "", sort: "risk", down: true, variants: false, suppressed: true };
  let state = { ...START, f: "" };
  let shown = [];
  let active = 0;

  const read = () => {
    const said = new URLSearchParams(location.hash.slice(1));
    const listed = (name, known) => (said.get(name) || "").split(",").filter((one) => known.includes(one));
    const [sort, way] = (said.get("sort") || "").split(":");
    const known = Object.hasOwn(COLUMNS, sort);
    state = {
      q: said.get("q") || "", severity: listed("severity", SEVERITIES), kind: listed("kind", KINDS),
      verdict: ["replicated", ...WORST].includes(said.get("verdict")) ? said.get("verdict") : "",
      sort: known ? sort : START.sort, down: known ? way === "down" : START.down,
      variants: said.get("variants") === "all", suppressed: said.get("suppressed") !== "hidden", f: said.get("f") || "",
    };
  };
  const write = () => {
    const said = new URLSearchParams();
    if (state.q) said.set("q", state.q);
    for (const name of ["severity", "kind"]) if (state[name].length) said.set(name, state[name].join(","));
    if (state.verdict) said.set("verdict", state.verdict);
    if (state.sort !== START.sort || state.down !== START.down) said.set("sort", state.sort + (state.down ? ":down" : ":up"));
    if (state.variants) said.set("variants", "all");
    if (!state.suppressed) said.set("suppressed", "hidden");
    if (state.f) said.set("f", state.f);
    const hash = said.toString();
    if (hash !== location.hash.slice(1)) history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
  };

  const choose = () => {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const replicated = ["verbatim", "template"];
    shown = all.filter((r) =>
      (state.variants || r.head || words.length > 0) && (state.suppressed || !r.suppressed) &&
      (!state.severity.length || state.severity.includes(r.severity)) && (!state.kind.length || state.kind.includes(r.kind)) &&
      (!state.verdict || r.verdict === state.verdict || (state.verdict === "replicated" && replicated.includes(r.verdict))) &&
      words.every((word) => r.found.includes(word)));
    const key = COLUMNS[state.sort][1];
    const sign = state.down ? -1 : 1;
    if (state.sort !== "risk" || !state.down) {
      const keys = new Map(shown.map((r) => [r, key(r)]));
      shown.sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        return x < y ? -sign : x > y ? sign : a.at - b.at;
      });
    }
    active = 0;
    const families = state.variants || words.length ? "findings" : "families";
    const of = state.variants || words.length ? all.length : all.filter((r) => r.head).length;
    $("told").textContent = number.format(shown.length) + " of " + number.format(of) + " " + families;
    $("table").hidden = !shown.length;
    $("nothing").hidden = Boolean(shown.length);
    $("table").setAttribute("aria-rowcount", shown.length + 1);
    for (const th of $("heads").children) {
      if (th.dataset.name === state.sort) th.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    }
    drawn = null;
    paint();
  };

  // Only rows near the window exist; rows above and below are two spacers. All rows have one height.
  const body = $("rows");
  const SPARE = 12;
  let drawn = null;
  const height = () => parseFloat(getComputedStyle(root).getPropertyValue("--row"));
  const narrow = matchMedia("(max-width: 720px)");
  const spacer = (rows) => {
    const tr = make("tr", "space");
    const td = make("td");
    td.colSpan = Object.keys(COLUMNS).length;
    td.style.height = rows * height() + "px";
    tr.setAttribute("aria-hidden", "true");
    tr.append(td);
    return tr;
  };
  const line = (at) => {
    const row = shown[at];
    const tr = make("tr", row.suppressed ? "off" : "");
    tr.dataset.at = at;
    tr.setAttribute("aria-rowindex", at + 2);
    for (const [name, column] of Object.entries(COLUMNS)) {
      const cell = column[3](row);
      cell.classList.add("c-" + name);
      tr.append(cell);
    }
    if (at === active) tr.querySelector("a").tabIndex = 0;
    return tr;
  };
  function paint() {
    const top = body.getBoundingClientRect().top;
    const tall = height();
    const first = Math.max(0, Math.min(shown.length, Math.floor(-top / tall) - SPARE));
    const last = Math.min(shown.length, Math.max(first + 2 * SPARE, Math.ceil((innerHeight - top) / tall) + SPARE));
    if (drawn && drawn.first === first && drawn.last === last) return;
    const kept = drawn ? drawn.rows : new Map();
    const focused = document.activeElement && body.contains(document.activeElement) ? active : -1;
    const rows = new Map();
    for (let at = first; at < last; at++) rows.set(at, kept.get(at) || line(at));
    body.replaceChildren(spacer(first), ...rows.values(), spacer(Math.max(0, shown.length - last)));
    drawn = { first, last, rows };
    if (focused >= 0 && rows.has(focused)) rows.get(focused).querySelector("a").focus({ preventScroll: true });
  }
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); });
  };
  addEventListener("scroll", soon, { passive: true });
  addEventListener("resize", soon);
  narrow.addEventListener("change", () => { drawn = null; paint(); });

  const go = (at) => {
    if (!shown.length) return;
    const was = drawn.rows.get(active);
    if (was) was.querySelector("a").tabIndex = -1;
    active = Math.max(0, Math.min(shown.length - 1, at));
    const y = body.getBoundingClientRect().top + active * height();
    if (y < 90 || y + height() > innerHeight - 20) {
      scrollTo({ top: scrollY + y - innerHeight / 3, behavior: "instant" });
    }
    paint();
    const link = drawn.rows.get(active).querySelector("a");
    link.tabIndex = 0;
    link.focus({ preventScroll: true });
  };
  body.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(innerHeight / height()) - 2);
    const to = { ArrowDown: active + 1, ArrowUp: active - 1, Home: 0, End: shown.length - 1,
      PageDown: active + page, PageUp: active - page }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (event.key === "ArrowUp" && active === 0) $("q").focus(); else go(to);
  });
  body.addEventListener("focusin", (event) => {
    const tr = event.target.closest("tr");
    if (tr && Number(tr.dataset.at) !== active) go(Number(tr.dataset.at));
  });
  body.addEventListener("click", (event) => {
    const tr = event.target.closest("tr[data-at]");
    if (!tr || event.ctrlKey || event.metaKey || event.shiftKey || getSelection().toString()) return;
    event.preventDefault();
    open(shown[Number(tr.dataset.at)].fingerprint);
  });

  // One finding, over the page.
  const drawer = $("drawer");
  let held = null;
  const back = () => { if (held && cards.has(held)) $("cards").append(cards.get(held)); held = null; };
  const brief = (row) => {
    const card = make("article", "card");
    const head = make("p", "meta");
    head.append(make("i", "dot s-" + row.severity), make("b", "", row.severity), " " + row.risk.toFixed(2) + " " + row.kind);
    const text = make("h3", row.kind === "template" ? "template" : "caption");
    text.append(make("bdi", "", row.text));
    const facts = [number.format(row.rows) + " rows", number.format(row.texts) + " captions"];
    if (row.images !== null) facts.push(number.format(row.images) + " pictures");
    if (row.domains !== null) facts.push(number.format(row.domains) + " domains");
    facts.push(spoken(row.verdict), row.rule, "cluster " + row.cluster);
    card.append(head, text, make("p", "", facts.join(" · ")),
      make("p", "quiet", "Only the riskiest findings are in this page in full. Of this one:"),
      make("pre", "commands", "memaudit show " + data.audit + " " + row.fingerprint));
    return card;
  };
  function open(name) {
    const row = byName.get(name);
    if (!row && !cards.has(name)) { state.f = ""; write(); return; }
    back();
    const card = cards.get(name) || brief(row);
    const details = card.querySelector("details");
    if (details) { details.open = true; details.querySelector("summary").tabIndex = -1; }
    $("drawer-body").replaceChildren(card);
    $("drawer-body").scrollTop = 0;
    held = name;
    state.f = name;
    write();
    const at = shown.indexOf(row);
    if (at >= 0) mark(at);
    $("position").textContent = at < 0 ? "" : number.format(at + 1) + " of " + number.format(shown.length);
    $("previous").disabled = at <= 0;
    $("following").disabled = at < 0 || at >= shown.length - 1;
    if (!drawer.open) drawer.showModal();
    $("drawer-body").focus({ preventScroll: true });
  }
  const mark = (at) => {
    const was = drawn.rows.get(active);
    if (was) was.querySelector("a").tabIndex = -1;
    active = at;
    const now = drawn.rows.get(at);
    if (now) now.querySelector("a").tabIndex = 0;
  };
  const step = (by) => {
    const to = shown[shown.indexOf(byName.get(held)) + by];
    if (to && shown.includes(byName.get(held))) open(to.fingerprint);
  };
  $("previous").addEventListener("click", () => step(-1));
  $("following").addEventListener("click", () => step(1));
  $("close").addEventListener("click", () => drawer.close());
  drawer.addEventListener("click", (event) => {
    if (event.target === drawer) drawer.close();
    if (event.target.closest("summary")) event.preventDefault();
  });
  drawer.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j" || event.key === "ArrowRight") step(1);
    if (event.key === "k" || event.key === "ArrowLeft") step(-1);
  });
  drawer.addEventListener("close", () => {
    const was = shown.indexOf(byName.get(held));
    back();
    state.f = "";
    write();
    if (was >= 0) go(was);
  });

  // The controls.
  const filters = $("filters");
  const boxes = [...filters.querySelectorAll("input[name]")];
  for (const [name, column] of Object.entries(COLUMNS)) {
    const th = make("th", "c-" + name);
    th.scope = "col";
    th.dataset.name = name;
    const button = make("button", ["rows", "texts", "images", "more"].includes(name) ? "num" : "", column[0]);
    button.type = "button";
    button.addEventListener("click", () => {
      state.down = state.sort === name ? !state.down : column[2];
      state.sort = name;
      update();
    });
    th.append(button);
    $("heads").append(th);
    for (const down of [column[2], !column[2]]) {
      const option = make("option", "", column[0] + (down ? " ↓" : " ↑"));
      option.value = name + (down ? ":down" : ":up");
      $("order").append(option);
    }
  }
  const mirror = () => {
    if ($("q").value !== state.q) $("q").value = state.q;
    for (const box of boxes) box.checked = state[box.name].includes(box.value);
    $("verdict").value = state.verdict;
    $("order").value = state.sort + (state.down ? ":down" : ":up");
    $("variants").checked = state.variants;
    if ($("suppressed")) $("suppressed").checked = state.suppressed;
  };
  const update = () => { mirror(); choose(); write(); };
  $("q").addEventListener("input", () => { state.q = $("q").value; update(); });
  filters.addEventListener("change", (event) => {
    if (event.target === $("q")) return;
    for (const name of ["severity", "kind"]) {
      state[name] = boxes.filter((box) => box.name === name && box.checked).map((box) => box.value);
    }
    state.verdict = $("verdict").value;
    const [sort, way] = $("order").value.split(":");
    state.sort = sort;
    state.down = way === "down";
    state.variants = $("variants").checked;
    if ($("suppressed")) state.suppressed = $("suppressed").checked;
    update();
  });
  filters.addEventListener("submit", (event) => event.preventDefault());
  const clear = (event) => { event.preventDefault(); state = { ...START, f: "" }; update(); $("q").focus(); };
  filters.addEventListener("reset", clear);
  $("clear").addEventListener("click", clear);
  $("q").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") { event.preventDefault(); go(0); }
    if (event.key === "Escape" && state.q) { event.preventDefault(); state.q = ""; update(); }
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || drawer.open) return;
    if (event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    $("q").focus();
    $("q").select();
  });
  addEventListener("hashchange", () => {
    const before = JSON.stringify({ ...state, f: "" });
    const plain = new URLSearchParams(location.hash.slice(1));
    if (["overview", "findings", "notes"].includes(location.hash.slice(1))) return;
    if ([...plain.keys()].join() === "f") { open(plain.get("f")); return; }
    read();
    if (JSON.stringify({ ...state, f: "" }) !== before) { mirror(); choose(); }
    if (state.f) open(state.f); else if (drawer.open) drawer.close();
  });

  $("browser").hidden = false;
  read();
  mirror();
  choose();
  if (state.f) open(state.f);
  performance.mark("memaudit-ready");
})();
