// Sorting and the comparison of two variants; the page is complete without them.
(() => {
  "use strict";
  const number = (cell) => parseFloat((cell.dataset.value ?? cell.textContent).replace(/,/g, "").replace("−", "-"));
  const order = (column, way) => (a, b) => {
    const [x, y] = [a.cells[column], b.cells[column]];
    const [m, n] = [number(x), number(y)];
    if (x.matches(".n") && (isNaN(m) || isNaN(n))) return isNaN(m) - isNaN(n);
    return way * (x.matches(".n") ? m - n : x.textContent.localeCompare(y.textContent, "en", { numeric: true }));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
        table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order(column, way)));
      });
    });
  }
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));

  const section = document.getElementById("compare");
  if (!section) return;
  const { variants, datasets, metrics, study_metric, values, t_quantiles } = JSON.parse(document.getElementById("comparison-data").textContent);
  const several = datasets.length > 1;
  if (variants.length < 2) return;
  const [first, second] = ["first", "second"].map((id) => document.getElementById(id));
  for (const select of [first, second]) select.append(...variants.map((name) => new Option(name)));
  second.selectedIndex = 0;
  first.selectedIndex = 1;
  const signed = (x, decimals) => {  // with more digits where it would be read as 0
    const text = Math.abs(x).toFixed(decimals);
    if (!Number.isFinite(x)) return isNaN(x) ? "–" : x < 0 ? "−∞" : "+∞";
    if (Math.abs(x) < 1e-6) return text;
    return Number(text) ? (x < 0 ? "−" : "+") + text : signed(x, decimals + 1);
  };
  const row = (dataset, metric, index) => {
    const [a, b] = [first, second].map((select) => values[dataset]?.[select.value] ?? {});
    const seeds = Object.keys(a).filter((seed) => seed in b && a[seed][index] !== null && b[seed][index] !== null);
    const differences = seeds.map((seed) => Number(a[seed][index]) - Number(b[seed][index]));
    const n = differences.length;
    if (!n) return null;
    const text = (x) => signed(x, metric.decimals);
    const cut = (x) => Math.max(-(metric.widest ?? Infinity), Math.min(metric.widest ?? Infinity, x));
    const mean = differences.reduce((x, y) => x + y, 0) / n;
    const sd = Math.sqrt(differences.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (n - 1));
    const half = n > 1 ? (t_quantiles[n - 2] * sd) / Math.sqrt(n) : NaN;
    const interval = half > 1e-6 ? `${text(cut(mean - half))} to ${text(cut(mean + half))}` : "no interval";
    const name = metric.title + (metric.higher_is_better ? "" : " (lower is better)") + (metric.units ? `, ${metric.units}` : "");
    return [dataset, name, text(mean), interval, n, differences.map(text).join("\u00a0· ")];
  };
  const heads = ["data", "metric", "mean difference", "95 % t interval", "n", "by seed"];
  const show = () => {
    const rows = datasets.flatMap((dataset) => metrics.map((metric, index) => [index, row(dataset, metric, index)]));
    section.querySelector("tbody").replaceChildren(...rows.filter(([, cells]) => cells).map(([index, cells]) => {
      const line = document.createElement("tr");
      if (index === study_metric) line.style.fontWeight = "600";
      line.append(...cells.slice(several ? 0 : 1).map((text, column) => {
        const cell = document.createElement(column ? "td" : "th");
        if (column > several && column < 4 + several) cell.className = "n";
        cell.textContent = text;
        cell.dataset.label = heads[several ? column : column + 1];
        return cell;
      }));
      return line;
    }));
  };
  for (const select of [first, second]) select.addEventListener("change", show);
  show();
  section.hidden = document.querySelector('nav a[href="#compare"]').parentElement.hidden = false;
})();
