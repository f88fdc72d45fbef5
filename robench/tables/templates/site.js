"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const FIRST = 100;
  const DASHES = ["", "7 4", "2 3", "10 3 2 3", "5 2", "1 3"];
  let board, sort, all = false;
  const chosen = new Set();

  // Text goes in as text nodes only, never as markup: names come from strangers' files.
  function make(tag, attributes, ...children) {
    const svg = ["svg", "line", "circle", "text", "polyline", "title", "rect"].includes(tag);
    const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) if (value !== null) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }
  const value = (row, key) => (row.values[key] ? row.values[key][0] : null);
  // A value is [value, low, high, text, interval]: numbers to sort and draw by, texts rounded once from what is stored.
  const text = (row, key) => (row.values[key] ? row.values[key][3] : "–");

  const many = (number) => number.toLocaleString("en");
  const words = (name) => (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ").replace("Jpeg", "JPEG");
  // Ones, twos and fives that cover a range, at most six of them.
  function rounded(low, high) {
    const span = high - low || 1;
    const power = 10 ** Math.floor(Math.log10(span / 5));
    const step = power * ([1, 2, 5, 10].find((one) => span / (one * power) <= 5) || 10);
    const ticks = [];
    for (let i = Math.floor(low / step + 1e-9); i * step < high + step * 0.999; i++) ticks.push(Number((i * step).toPrecision(12)));
    return ticks;
  }

  function options(select, name) {
    const values = [...new Set(board.rows.map((row) => row[name]).filter(Boolean))].sort();
    select.replaceChildren(make("option", { value: "" }, "all"), ...values.map((one) => make("option", { value: one }, one)));
  }

  function open(id) {
    board = data.boards.find((one) => one.id === id) || data.boards[0];
    sort = { key: board.columns[0], descending: !data.columns[board.columns[0]].lower };
    all = false;
    chosen.clear();
    $("search").value = "";
    ["method", "architecture", "source"].forEach((name) => options($(name), name));
    document.querySelectorAll("[data-board]").forEach((button) =>
      button.setAttribute("aria-pressed", String(button.dataset.board === board.id)));
    $("caption").textContent = `${board.tab}. ${board.protocol}.`;
    document.title = `${board.tab} - robench leaderboard`;
    draw();
  }

  function visible() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    return board.rows.filter((row) => {
      const whole = `${row.name} ${row.method || ""} ${row.architecture || ""} ${row.source}`.toLowerCase();
      return words.every((word) => whole.includes(word)) &&
        ["method", "architecture", "source"].every((name) => !$(name).value || row[name] === $(name).value);
    });
  }

  function sorted(rows) {
    const sign = sort.descending ? -1 : 1;
    return [...rows].sort((a, b) => {
      if (sort.key === "name") return sign * a.name.localeCompare(b.name);
      const [x, y] = [value(a, sort.key), value(b, sort.key)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x - y);
    });
  }

  function header() {
    const columns = [["name", "Model"], ...board.columns.map((key) => [key, data.columns[key].title])];
    const cells = columns.map(([key, title]) => {
      const button = make("button", { type: "button", "data-sort": key }, title);
      button.addEventListener("click", () => {
        sort = { key, descending: sort.key === key && !sort.descending };
        draw();
        document.querySelector(`[data-sort="${key}"]`).focus();
      });
      const state = sort.key !== key ? "none" : sort.descending ? "descending" : "ascending";
      return make("th", { scope: "col", "aria-sort": state, class: key === "name" ? null : "n" }, button);
    });
    const [name, ...heads] = cells;
    $("board").tHead.replaceChildren(make("tr", {},
      make("th", { scope: "col" }, make("span", { class: "long" }, "Compare")), make("th", { scope: "col", class: "n" }, "Rank"), name, ...heads));
  }

  function line(row) {
    const box = make("input", { type: "checkbox", "aria-label": `Compare ${row.name}`, "data-id": row.id });
    box.checked = chosen.has(row.id);
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && chosen.size > 1) $("go").click(); // the button stands below all rows
    });
    box.addEventListener("change", () => {
      box.checked ? chosen.add(row.id) : chosen.delete(row.id);
      compare();
    });
    const target = row.page || (/^https?:/.test(row.link || "") ? row.link : null);
    const name = target ? make("a", { href: target, rel: row.page ? null : "noreferrer" }, row.name) : row.name;
    const about = [row.architecture, row.method].filter((one) => one && one !== row.name).join(" · ");
    const rank = 1 + board.rows.indexOf(row);
    const kind = make("span", { class: "about" }, make("span", { class: `tag ${row.kind}` }, row.kind), ` ${row.source}`);
    return make("tr", { class: `is-${row.kind}` },
      make("td", {}, box),
      make("td", { class: "n" }, String(rank), row.rank ? make("span", { class: "interval" }, `${row.rank[0]} to ${row.rank[1]}`) : null),
      make("th", { scope: "row" }, name, about ? make("span", { class: "about" }, about) : null, kind,
        row.sampled ? make("span", { class: "about" }, row.sampled) : null),
      ...board.columns.map((key) => {
        const interval = row.values[key] && row.values[key][4];
        return make("td", { class: "n" }, text(row, key), interval ? make("span", { class: "interval" }, interval) : null);
      }));
  }

  function draw() {
    const rows = sorted(visible());
    header();
    $("board").tBodies[0].replaceChildren(...rows.slice(0, all ? rows.length : FIRST).map(line));
    $("more").hidden = all || rows.length <= FIRST;
    const shown = Math.min(rows.length, all ? rows.length : FIRST);
    $("status").textContent = `${many(shown)} of ${many(board.rows.length)} models shown. Tick two or more to compare them (button below, or Enter on a box).`;
    compare();
    scatter(rows);
  }

  function chart(label, points, xRange, yRange, xTitle, yTitle, xTicks, yTicks) {
    // A phone shows half the width, so that the letters keep their size.
    const [w, h, l, b, t] = [matchMedia("(max-width:600px)").matches ? 380 : 640, 340, 52, 44, 12];
    const x = (one) => l + ((one - xRange[0]) / (xRange[1] - xRange[0] || 1)) * (w - l - 16);
    const y = (one) => t + (1 - (one - yRange[0]) / (yRange[1] - yRange[0] || 1)) * (h - b - t);
    const svg = make("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": label }, make("title", {}, label));
    for (const one of yTicks) {
      svg.append(make("line", { class: "grid", x1: l, x2: w - 16, y1: y(one), y2: y(one) }),
        make("text", { class: "tick", x: l - 8, y: y(one) + 4, "text-anchor": "end" }, String(one)));
    }
    for (const [at, text] of xTicks) svg.append(make("text", { class: "tick", x: x(at), y: h - b + 18, "text-anchor": "middle" }, text));
    svg.append(make("text", { class: "tick", x: (l + w) / 2, y: h - 6, "text-anchor": "middle" }, xTitle),
      make("text", { class: "tick", x: 14, y: (h - b) / 2, transform: `rotate(-90 14 ${(h - b) / 2})`, "text-anchor": "middle" }, yTitle));
    points(svg, x, y);
    return svg;
  }

  // Whether a stored value is worse than another, their intervals being apart.
  const worse = (one, other, lower) => (lower ? other[2] < one[1] : other[1] > one[2]);
  const measured = (one) => one && one[1] !== null;

  // For every value of a row: "best" where it is better than all others and its interval overlaps none of theirs,
  // "worse" where it is significantly worse than the best, else "". What has no interval is neither.
  function standing(stored, lower) {
    const known = stored.filter(measured);
    if (known.length < 2) return stored.map(() => "");
    const best = known.reduce((a, b) => ((lower ? b[0] < a[0] : b[0] > a[0]) ? b : a));
    const alone = known.length === stored.length && known.every((one) => one === best || worse(one, best, lower));
    return stored.map((one) => {
      if (one === best) return alone ? "best" : "";
      return measured(one) && worse(one, best, lower) ? "worse" : "";
    });
  }

  function compared(stored, lower) {
    const stands = standing(stored, lower);
    return stored.map((one, i) => make("td", { class: "n" },
      stands[i] === "best" ? make("strong", {}, one[3]) : one ? one[3] : "–",
      stands[i] === "worse" ? make("span", { class: "mark", title: "significantly worse than the best" }, "*", make("span", { class: "hidden" }, " significantly worse than the best")) : null,
      one && one[4] ? make("span", { class: "interval" }, one[4]) : null));
  }

  function compare() {
    const rows = board.rows.filter((row) => chosen.has(row.id));
    $("tray").hidden = rows.length < 1;
    $("go").disabled = rows.length < 2;
    $("count").textContent = rows.length < 2 ? "1 model selected; select one more" : `${rows.length} models selected`;
    $("compare").hidden = rows.length < 2;
    if (rows.length < 2) return;
    const names = [...new Set(rows.flatMap((row) => Object.keys(row.conditions || {})))];
    const numbers = board.columns.map((key) => [data.columns[key].title, compared(rows.map((row) => row.values[key]), data.columns[key].lower)]);
    const errors = names.map((name) => [`${words(name)}: error, %`, compared(rows.map((row) => (row.conditions || {})[name]), true)]);
    const table = make("table", {},
      make("caption", {}, "The selected models side by side, with 95 % intervals. Bold: significantly better than all others. *: significantly worse than the best. Both mean that the intervals do not overlap, which is a strict test: ", make("code", {}, "robench compare"), " pairs runs image by image and finds smaller differences. Published values have no intervals, so nothing is said of them."),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Metric"), ...rows.map((row) => make("th", { scope: "col", class: "n" }, row.name)))),
      make("tbody", {}, ...[...numbers, ...errors].map(([title, cells]) => make("tr", {}, make("th", { scope: "row" }, title), ...cells))));
    const curves = rows.filter((row) => row.curve);
    const levels = rounded(0, Math.max(...curves.flatMap((row) => row.curve), 1));
    const parts = [make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Comparison table" }, table)];
    if (curves.length) {
      const sample = (i) => make("svg", { viewBox: "0 0 34 10", "aria-hidden": "true" },
        make("line", { x1: 0, x2: 34, y1: 5, y2: 5, style: `stroke:var(--c${i % 6});stroke-width:2.5;stroke-dasharray:${DASHES[i % 6] || "none"}` }));
      parts.unshift(make("ul", { class: "legend" }, ...curves.map((row, i) => make("li", {}, sample(i), row.name))),
        make("div", { class: "wide" }, chart("Error by severity of the chosen models", (svg, x, y) => curves.forEach((row, i) => {
          const points = row.curve.map((one, s) => (one === null ? null : [x(s), y(one)])).filter(Boolean);
          svg.append(make("polyline", { points: points.map((p) => p.join(",")).join(" "), style: `fill:none;stroke:var(--c${i % 6});stroke-width:2.5;stroke-dasharray:${DASHES[i % 6] || "none"}` }),
            ...points.map(([cx, cy]) => make("circle", { cx, cy, r: 3.5, style: `fill:var(--c${i % 6})` })));
        }), [0, 5], [0, levels.at(-1)], "severity", "error, %", ["clean", "1", "2", "3", "4", "5"].map((text, i) => [i, text]), levels)));
    }
    $("compare-body").replaceChildren(...parts);
  }

  function scatter(rows) {
    const clean = ["clean_error", "matching_error"].find((key) => board.columns.includes(key));
    const robust = board.columns.find((key) => key !== clean && key !== "mce") || board.columns[0];
    const points = clean ? rows.filter((row) => value(row, clean) !== null && value(row, robust) !== null) : [];
    $("scatter").hidden = points.length < 2;
    if (points.length < 2) return;
    const marks = (key) => {
      const numbers = points.map((row) => value(row, key));
      return rounded(Math.min(...numbers), Math.max(...numbers));
    };
    const [xs, ys] = [marks(clean), marks(robust)];
    const label = `${data.columns[robust].title} against ${data.columns[clean].title}, ${points.length} models`;
    const svg = chart(label, (node, x, y) => points.forEach((row) => {
      const colour = row.kind === "measured" ? "var(--c2)" : "var(--c1)";
      const shown = `${row.name} (${row.kind}): ${text(row, clean)}, ${text(row, robust)}`;
      const fill = row.kind === "measured" ? colour : "none";
      node.append(make("circle", { cx: x(value(row, clean)), cy: y(value(row, robust)), r: points.length > 200 ? 3 : 6, style: `fill:${fill};stroke:${colour};stroke-width:1.5` }, make("title", {}, shown)));
    }), [xs[0], xs.at(-1)], [ys[0], ys.at(-1)], data.columns[clean].title, data.columns[robust].title, xs.map((one) => [one, String(one)]), ys);
    $("scatter-body").replaceChildren(make("figure", { class: "wide" }, svg,
      make("figcaption", {}, "Filled: measured; hollow: published. Lower left is better. The table above has the same numbers.")));
  }

  document.querySelectorAll("[data-board]").forEach((button) => button.addEventListener("click", () => {
    history.replaceState(null, "", `#${button.dataset.board}`);
    open(button.dataset.board);
  }));
  $("filters").addEventListener("input", () => draw());
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => { all = true; draw(); });
  $("go").addEventListener("click", () => { $("compare").scrollIntoView(); $("compare-title").focus(); });
  $("clear").addEventListener("click", () => { chosen.clear(); draw(); $("board").querySelector("tbody input").focus(); });
  $("folded").open = !matchMedia("(max-width:600px)").matches; // on a phone the table comes first
  open(decodeURIComponent(location.hash.slice(1)));
})();
