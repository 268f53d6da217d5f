// The rows behind a row of a table: those of its datasets that the page holds, and that its figures are made of.

const MOST_BEHIND = 200; // rows that are listed; the CSV file has all

function behindButton(table, row, selected) {
  const button = made("button", { type: "button", className: "behind" });
  const names = table.by.map((name, at) => (name === "day" ? spoken(calendar[grainNow()].byName.get(row.names[at])) : row.names[at]));
  button.setAttribute("aria-label", `Rows behind ${names.join(", ")}`);
  button.title = "the rows behind this one";
  button.addEventListener("click", () => openBehind(table, row, names.join(", "), selected));
  return button;
}

function openBehind(table, row, title, selected) {
  element("behind-title").textContent = `Rows behind ${title}`;
  const models = [...new Set(table.measures.flatMap((name) => modelsOf(spec.measures[name])))];
  element("behind-rows").replaceChildren(...models.flatMap((model) => listed(model, rowsBehind(model, table, row, selected))));
  element("behind").showModal();
}

function rowsBehind(model, table, row, selected) {
  const found = [];
  const keep = (held, at) => held.push(at);
  for (const [group, rows] of grouped({ model }, selected, table.by, () => [], keep)) if (group === row.group) found.push(...rows);
  return found;
}

function listed(model, rows) {
  const { columns } = datasets[model];
  const names = Object.keys(columns);
  const texts = (at) => names.map((name) => (name === "day" ? isoDay(columns.day[at]) : dictionaries[name] ? dictionaries[name][columns[name][at]] : columns[name][at]));
  const heading = made("div", { className: "heading" });
  const title = made("h3", { textContent: `${model}: ${whole.format(rows.length)} row${rows.length === 1 ? "" : "s"}`, id: `behind-${model}` });
  const csv = made("button", { type: "button", className: "csv", textContent: "Download CSV" });
  csv.addEventListener("click", () => download(model, [names, ...rows.map(texts)]));
  heading.append(title, csv);
  const table = made("table", {});
  const head = made("tr", {});
  const number = (name) => (name !== "day" && !dictionaries[name] ? "number" : "");
  head.append(...names.map((name) => made("th", { scope: "col", className: number(name), textContent: name })));
  const body = rows.slice(0, MOST_BEHIND).map((at) => {
    const tr = made("tr", {});
    tr.append(...texts(at).map((value, place) => made("td", { className: number(names[place]), textContent: typeof value === "number" ? upToFour.format(value) : (value ?? "–") })));
    return tr;
  });
  const [thead, tbody, scroll] = [made("thead", {}), made("tbody", {}), made("div", { className: "scroll", tabIndex: 0 })];
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-labelledby", `behind-${model}`);
  thead.append(head);
  tbody.append(...body);
  table.append(thead, tbody);
  scroll.append(table);
  const rest = rows.length > MOST_BEHIND ? [made("p", { className: "rest", textContent: `The first ${MOST_BEHIND} rows; the CSV file has all.` })] : [];
  return [heading, ...rest, scroll];
}
