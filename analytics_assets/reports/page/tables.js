// The tables behind the charts, and their CSV files.

const ROWS_SHOWN = 15;
const sorted = {}; // by table: the column and whether the order is ascending
const opened = new Set(); // tables that show all rows

function contentOf(table, rows) {
  const found = new Map();
  const columns = table.by.map((name, at) => ({
    title: titleOf(name),
    name,
    heading: name === "day" ? grainNow() : name,
    cell: (row) => row.names[at],
    order: orderOf(name, at),
    pick: (row) => (filters.includes(name) ? pickOf([name], [row.names[at]]) : null),
    missing: (row) => (name === "day" ? missingDays(periodOf(row)) : ""),
  }));
  const isByDay = table.by[0] === "day";
  if (isByDay && grainNow() !== "day") columns.push({ heading: "days", cell: (row) => heldOf(periodOf(row)).held, isHidden: true });
  for (const name of table.details) {
    const newest = newestOf(name, table.measures, rows, table.by);
    columns.push({ title: titleOf(name), name, heading: name, cell: (row) => newest.get(row.group), pick: (row) => (filters.includes(name) ? pickOf([name], [newest.get(row.group)]) : null) });
  }
  table.measures.forEach((name, place) => {
    const measure = spec.measures[name];
    for (const [group, figure] of evaluated(measure, rows, table.by)) {
      if (!found.has(group)) found.set(group, { group, names: valuesOf(group, table.by), figures: {} });
      found.get(group).figures[name] = figure;
    }
    const figureOf = (row) => row.figures[name] || missingOf(measure);
    const write = (value) => written(measure, value);
    const range = (row) => (figureOf(row).low === undefined ? "" : interval(measure, figureOf(row)));
    const isToCome = (row) => isByDay && isUnfinished(measure, periodOf(row));
    const trend = place === 0 && !table.by.includes("day") && trendsOf(measure, rows, table.by);
    columns.push({ title: measure.title, measure: name, heading: name, cell: (row) => figureOf(row).value, write, range, isToCome, trend });
    if (measure.has_interval) {
      for (const end of ["low", "high"]) columns.push({ measure: `${name}_${end}`, heading: `${name}_${end}`, cell: (row) => figureOf(row)[end] ?? null, isHidden: true });
    }
    if (place === 0 && table.shares) {
      const total = [...found.values()].reduce((sum, row) => sum + figureOf(row).value, 0);
      columns.push({ title: "Share", measure: `${name}_share`, heading: `${name}_share`, cell: (row) => (total ? figureOf(row).value / total : null), write: (value) => written({ format: "share" }, value) });
    }
  });
  return { columns, rows: [...found.values()] };
}

const periodOf = (row) => calendar[grainNow()].byName.get(row.names[0]);

// Listed values have an order of their own: "7 to 29" comes before "30 to 89".
function orderOf(name, place) {
  if (name === "day" || !spec.dimensions[name].values) return null;
  return (row) => dictionaries[name].indexOf(row.names[place]);
}

// The value of a dimension on each group's newest day, in the rows of the first measure; rows are sorted by day.
function newestOf(name, measures, rows, by) {
  const [part] = partsOf(spec.measures[measures[0]]);
  const places = datasets[part.model].columns[name];
  const held = grouped(part, rows, by, () => ({}), (newest, row) => (newest.place = places[row]));
  return new Map([...held].map(([group, newest]) => [group, dictionaries[name][newest.place]]));
}

// ------------------------------------------------------------------------------------------------------ sparklines

const SPARK = { width: 72, height: 18 };

// A measure by group over the whole days, weeks or months of the selection; null where its rows are of no day.
function trendsOf(measure, rows, by) {
  if (modelsOf(measure).some((model) => !spec.datasets[model].has_days || spec.datasets[model].is_partial)) return null;
  const { places, periods } = calendar[grainNow()];
  const from = places[selection.from];
  const isDrawn = selectedPeriods().map((period) => !isIncomplete(period));
  const trends = new Map();
  for (const [group, { value }] of evaluated(measure, rows, [...by, "day"])) {
    const day = group % periods.length;
    const of = (group - day) / periods.length;
    if (!trends.has(of)) trends.set(of, isDrawn.map(() => missingOf(measure).value));
    trends.get(of)[day - from] = value;
  }
  return (row) => sparkline(measure, (trends.get(row.group) || []).filter((_, at) => isDrawn[at]));
}

function sparkline(measure, values) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return null;
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const x = (at) => 1 + (at / (values.length - 1)) * (SPARK.width - 2);
  const y = (value) => SPARK.height - 2 - (most > least ? (value - least) / (most - least) : 0.5) * (SPARK.height - 4);
  let path = "";
  values.forEach((value, at) => {
    if (value !== null) path += `${at && values[at - 1] !== null ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const write = (value) => written(measure, value);
  const said = `by ${grainNow()}, ${values.length} in all: from ${write(known[0])} to ${write(known.at(-1))}, least ${write(least)}, most ${write(most)}`;
  for (const [name, value] of Object.entries({ class: "spark", role: "img", "aria-label": said, viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, width: SPARK.width, height: SPARK.height })) svg.setAttribute(name, value);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

// -------------------------------------------------------------------------------------------------------- a table

function drawTable(table, selected) {
  const section = element(`table-${table.name}`);
  const { columns: all, rows } = contentOf(table, selected);
  const columns = all.filter((its) => !its.isHidden); // the ends of intervals stand below their figure
  sorted[table.name] ||= table.in_order ? { column: 0, ascending: true } : table.by[0] === "day" ? { column: 0, ascending: false } : { column: table.by.length + table.details.length, ascending: false };
  const { column, ascending } = sorted[table.name];
  const cell = columns[column].order || columns[column].cell;
  rows.sort((one, other) => compared(cell(one), cell(other), ascending) || one.group - other.group);

  const head = made("tr", {});
  columns.forEach((its, place) => {
    const th = made("th", { scope: "col", className: its.measure ? "number" : "" });
    th.setAttribute("aria-sort", place === column ? (ascending ? "ascending" : "descending") : "none");
    const button = made("button", { type: "button", textContent: its.title });
    button.addEventListener("click", () => {
      sorted[table.name] = { column: place, ascending: place === column ? !ascending : !its.measure };
      drawTable(table, selected);
      section.querySelectorAll("thead button")[place].focus();
    });
    th.append(button);
    head.append(th);
  });
  const shown = opened.has(table.name) ? rows : rows.slice(0, ROWS_SHOWN);
  const content = made("table", {});
  const thead = made("thead", {});
  const tbody = made("tbody", {});
  thead.append(head);
  tbody.append(...shown.map((row) => rowOf(table, columns, row, selected)));
  content.append(thead, tbody);
  section.querySelector(".scroll").replaceChildren(content);
  const more = section.querySelector(".more");
  more.hidden = rows.length <= ROWS_SHOWN;
  more.textContent = opened.has(table.name) ? "Show fewer" : `Show all ${whole.format(rows.length)} rows`;
  section.querySelector(".printed").textContent = shown.length < rows.length ? `The first ${shown.length} of ${whole.format(rows.length)} rows.` : "";
  more.onclick = () => {
    if (!opened.delete(table.name)) opened.add(table.name);
    drawTable(table, selected);
  };
  section.querySelector(".apart").textContent = apartFrom(table.measures.map((name) => spec.measures[name]));
  section.querySelector(".csv").onclick = () => {
    const lines = rows.map((row) => all.map((its) => its.cell(row)));
    download(table.name, [all.map((its) => its.heading), ...lines]);
  };
}

function rowOf(table, columns, row, selected) {
  const tr = made("tr", {});
  columns.forEach((its, place) => {
    const value = its.cell(row);
    const td = made(place === 0 ? "th" : "td", {});
    if (place === 0) td.scope = "row";
    if (its.measure) {
      Object.assign(td, { className: "number", textContent: its.write(value) }).dataset.measure = its.measure;
      const trend = its.trend && its.trend(row);
      if (trend) td.append(trend);
      if (trend) td.classList.add("trend");
      const range = its.range && its.range(row);
      if (range) td.append(made("span", { className: "range", textContent: range }));
    } else {
      const pick = its.pick && its.pick(row);
      if (place === 0) td.append(behindButton(table, row, selected));
      td.append(pick ? pickButton(pick, value, `table-${table.name}`) : (value ?? ""));
      td.title = value ?? ""; // CSS cuts long values
      const missing = its.missing && its.missing(row);
      if (missing) td.append(made("span", { className: "range", textContent: missing }));
    }
    if (its.isToCome && its.isToCome(row)) Object.assign(td, { title: `unfinished: what comes of this ${grainNow()} is still to come` }).classList.add("unfinished");
    tr.append(td);
  });
  const first = tr.querySelector("button.pick");
  if (first) {
    tr.classList.add("pick");
    tr.addEventListener("click", (event) => event.target.closest("button") || getSelection().toString() || first.click());
  }
  return tr;
}

// Nulls sort last in both directions.
function compared(one, other, ascending) {
  if (one === other) return 0;
  if (one === null || other === null) return one === null ? 1 : -1;
  return (one < other ? -1 : 1) * (ascending ? 1 : -1);
}

function download(name, lines) {
  const csv = lines.map((cells) => cells.map(csvCell).join(",")).join("\r\n");
  const link = made("a", { download: `${spec.name}-${name}-${isoDay(selection.from)}-${isoDay(selection.to)}.csv` });
  link.href = URL.createObjectURL(new Blob(["\ufeff", csv, "\r\n"], { type: "text/csv;charset=utf-8" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// A spreadsheet would read a text that begins like this as a formula.
function csvCell(value) {
  if (value === null || value === undefined || typeof value === "number") return value ?? "";
  const text = /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
