// Draws the report: evaluates its measures over the selected rows, and shows them. It needs no network. Its only state
// is the filters; they are also in the address, so that a view can be sent to somebody.
"use strict";

(async () => {
  const spec = JSON.parse(element("spec").textContent);
  if (typeof DecompressionStream === "undefined") {
    element("broken").hidden = false;
    return;
  }
  const { dictionaries, datasets } = await unpacked(element("rows").textContent);
  const DAY = 86400000;
  const firstDay = Date.parse(spec.first_day);
  const days = (Date.parse(spec.as_of) - firstDay) / DAY + 1;
  const filters = Object.keys(spec.dimensions).filter((name) => spec.dimensions[name].is_filter);
  const switched = spec.switch; // the dimension of which one value counts at a time, or null
  const choices = switched ? [...spec.dimensions[switched].one_of.keys()] : []; // their places: they are the first
  const Z = 1.96;
  const FEWEST_ROWS = 30;
  const ROWS_SHOWN = 15;
  const BAR_HEIGHT = 24; // pixels

  // ------------------------------------------------------------------------------------------------ the selection

  // from, to: days counted from the first one, both included. chosen: for each filter, the places of the chosen values
  // in its dictionary, or null for all values. choice: the place of the one value that counts.
  const selection = { from: 0, to: days - 1, chosen: {}, choice: 0 };

  function firstDayWithRows() {
    return Math.min(days - 1, ...Object.values(datasets).filter((d) => d.length).map((d) => d.columns.day[0]));
  }

  // Selects the longest span that leaves a period of the same length before it; everything while there are few days.
  function reset() {
    const known = days - firstDayWithRows();
    const span = [28, 14, 7].find((length) => 2 * length <= known) || days;
    Object.assign(selection, { from: days - span, to: days - 1, choice: 0 });
    for (const name of filters) selection.chosen[name] = null;
  }

  // An analysis is as of the report's day: it has no other days to choose, and perhaps no such dimension.
  const isAnalysis = (model) => spec.analyses.includes(model);

  function selectedRows(from, to) {
    const found = {};
    for (const [model, dataset] of Object.entries(datasets)) {
      const names = filters.filter((name) => selection.chosen[name] && (dataset.columns[name] || !isAnalysis(model)));
      const chosen = names.map((name) => [dataset.columns[name], selection.chosen[name]]);
      const day = dataset.columns.day;
      const rows = [];
      for (let row = 0; row < dataset.length; row++) {
        if ((isAnalysis(model) || (day[row] >= from && day[row] <= to)) && chosen.every(([places, values]) => values.has(places[row]))) rows.push(row);
      }
      found[model] = rows;
    }
    return found;
  }

  // ------------------------------------------------------------------------------------------------- the measures

  // A group is one number that combines the places of its values.
  const sizeOf = (name) => (name === "day" ? days : dictionaries[name].length);
  const groupOf = (places, by) => by.reduce((group, name) => group * sizeOf(name) + places[name], 0);

  function placesOf(group, by) {
    const places = {};
    for (const name of [...by].reverse()) {
      places[name] = group % sizeOf(name);
      group = (group - places[name]) / sizeOf(name);
    }
    return places;
  }

  function valuesOf(group, by) {
    const places = placesOf(group, by);
    return by.map((name) => (name === "day" ? isoDay(places[name]) : dictionaries[name][places[name]]));
  }

  // Of the switch, the rows of the chosen value count. If the groups are by it, all do, those without a value in each.
  function grouped(part, rows, by, begin, add) {
    const columns = datasets[part.model].columns;
    const own = columns[switched];
    const none = own && dictionaries[switched].indexOf("(none)");
    const isByIt = own && by.includes(switched);
    const itself = [0];
    const found = new Map();
    for (const row of rows[part.model]) {
      if (own && !isByIt && own[row] !== none && own[row] !== selection.choice) continue;
      if (own) itself[0] = own[row];
      for (const place of isByIt && own[row] === none ? choices : itself) {
        let group = 0;
        for (const name of by) group = group * sizeOf(name) + (name === switched ? place : columns[name][row]);
        if (!found.has(group)) found.set(group, begin());
        add(found.get(group), row);
      }
    }
    return found;
  }

  function sums(part, rows, by) {
    const columns = datasets[part.model].columns;
    const where = Object.entries(part.where).map(([name, values]) => [columns[name], new Set(values.map((v) => dictionaries[name].indexOf(v)))]);
    const found = grouped(part, rows, by, () => ({ value: 0, variance: 0, rows: 0, known: 0, unknown: 0 }), (total, row) => {
      if (!where.every(([places, values]) => values.has(places[row]))) return;
      const value = columns[part.column][row];
      total[value === null ? "unknown" : "known"]++;
      total.value += value;
      if (part.variance) total.variance += columns[part.variance][row];
      if (part.rows) total.rows += columns[part.rows][row];
    });
    for (const total of found.values()) if (total.unknown && !total.known) total.value = null;
    return found;
  }

  function evaluated(measure, rows, by) {
    const part = measure.value;
    const found = new Map();
    if (part.kind === "distinct") {
      const places = datasets[part.model].columns[part.dimension];
      const besides = new Set(part.besides.map((value) => dictionaries[part.dimension].indexOf(value)));
      const sets = grouped(part, rows, by, () => new Set(), (set, row) => besides.has(places[row]) || set.add(places[row]));
      for (const [group, set] of sets) found.set(group, { value: set.size });
    } else if (part.kind === "sum") {
      for (const [group, total] of sums(part, rows, by)) found.set(group, estimate(part, total));
    } else if (part.kind === "spread") {
      return spreads(part, rows, by);
    } else {
      const over = sums(part.over, rows, by);
      const under = sums(part.under, rows, by);
      const nothing = { value: 0, variance: 0, rows: 0 };
      for (const group of new Set([...over.keys(), ...under.keys()])) {
        found.set(group, ratio(measure, over.get(group) || nothing, under.get(group) || nothing));
      }
    }
    return found;
  }

  // How far apart the values of one dimension are on the shares of another; analytics_assets/spec/report.py says more.
  function spreads({ sum, across, part }, rows, by) {
    const others = by.filter((name) => name !== part);
    const wholes = sums(sum, rows, [across, ...others]);
    const known = new Map(); // by the others: how many values of `across` have shares
    for (const [group, { value }] of wholes) {
      const rest = groupOf(placesOf(group, [across, ...others]), others);
      if (value > 0) known.set(rest, (known.get(rest) || 0) + 1);
    }
    const shares = new Map(); // by the others and the part
    for (const [group, { value }] of sums(sum, rows, [across, ...others, part])) {
      const places = placesOf(group, [across, ...others, part]);
      const whole = wholes.get(groupOf(places, [across, ...others])).value;
      if (whole <= 0) continue;
      const names = groupOf(places, [...others, part]);
      shares.set(names, [...(shares.get(names) || []), value / whole]);
    }
    const found = new Map();
    for (const [names, held] of shares) {
      const places = placesOf(names, [...others, part]);
      if (held.length < known.get(groupOf(places, others))) held.push(0); // no row is no share
      const value = Math.max(...held) - Math.min(...held);
      const group = groupOf(places, by);
      if (!found.has(group) || value > found.get(group).value) found.set(group, { value, of: dictionaries[part][places[part]] });
    }
    return found;
  }

  const missingOf = (measure) => ({ value: measure.is_null_of_nothing ? null : 0 });
  const isUnfinished = (measure, day) => measure.unfinished_from !== null && day >= measure.unfinished_from;

  const isEstimate = (part, total) => part.variance && total.rows >= FEWEST_ROWS;
  const isKnown = (part, total) => part.is_exact || isEstimate(part, total); // the sums of an exact one have no variance

  // Horvitz and Thompson, Cochran: analytics_assets/reports/figures.py names the source of each formula.
  function estimate(part, total) {
    if (total.value === null || !isEstimate(part, total)) return { value: total.value };
    const half = Z * Math.sqrt(total.variance);
    return { value: total.value, low: total.value < 0 ? total.value - half : Math.max(total.value - half, 0), high: total.value + half };
  }

  function ratio(measure, over, under) {
    const part = measure.value;
    if (over.value === null || !under.value) return { value: null };
    const value = (over.value / under.value) * part.times;
    if (!measure.has_interval || !isKnown(part.over, over) || !isKnown(part.under, under)) return { value };
    if (over.value <= 0 || under.value <= 0) return { value };
    if (part.is_share) {
      const variance = over.variance * (1 - value) ** 2 + (under.variance - over.variance) * value ** 2;
      const half = (Z * Math.sqrt(Math.max(variance, 0))) / under.value;
      return { value, low: Math.max(value - half, 0), high: Math.min(value + half, 1) };
    }
    const spread = Math.exp(Z * Math.sqrt(over.variance / over.value ** 2 + under.variance / under.value ** 2));
    return { value, low: value / spread, high: value * spread };
  }

  // --------------------------------------------------------------------------------------------------- the texts

  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const hundredths = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const upToFour = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
  const upToTenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

  function written(measure, value) {
    if (value === null || value === undefined) return "–";
    if (measure.format === "share") return `${tenths.format(value * 100)} %`;
    if (measure.format === "seconds") return `${tenths.format(value)} s`;
    if (measure.format === "plain") return upToFour.format(value);
    if (measure.format === "mean") return tenths.format(value);
    if (measure.format === "money") return `${hundredths.format(value)} ${measure.unit}`;
    return Math.abs(value) < 100 ? upToTenths.format(value) : whole.format(value);
  }

  function interval(measure, figure) {
    if (figure.low === undefined) return measure.has_interval && figure.value !== null ? "too few rows" : "";
    if (figure.low === figure.high) return "not sampled";
    return `${written(measure, figure.low)} to ${written(measure, figure.high)}`;
  }

  const isoDay = (place) => new Date(firstDay + place * DAY).toISOString().slice(0, 10);
  const placeOfDay = (text) => Math.round((Date.parse(text) - firstDay) / DAY);
  const spanText = (from, to) => (from === to ? isoDay(from) : `${isoDay(from)} to ${isoDay(to)}`);
  const dayCount = (count) => `${count} day${count === 1 ? "" : "s"}`;

  // Shortens long identifiers to their first letters, as many as distinguish them.
  function shortened(names) {
    for (let length = 8; ; length++) {
      const short = names.map((name) => (name.length > length + 5 ? `${name.slice(0, length)}…` : name));
      if (new Set(short).size === names.length) return new Map(names.map((name, place) => [name, short[place]]));
    }
  }

  // -------------------------------------------------------------------------------------------------- the filters

  function buildFilters() {
    const spans = [7, 14, 28, 90].filter((length) => length < days).map((length) => [`${length} days`, length]);
    for (const [title, length] of [...spans, ["all", days]]) {
      const button = made("button", { type: "button", textContent: title });
      button.dataset.length = length;
      button.addEventListener("click", () => show({ from: days - length, to: days - 1 }));
      element("spans").append(button);
    }
    for (const name of ["from", "to"]) {
      element(name).addEventListener("change", (event) => {
        const place = placeOfDay(event.target.value);
        if (Number.isNaN(place)) return drawFilters();
        const within = Math.min(Math.max(place, 0), days - 1);
        show(name === "from" ? { from: within, to: Math.max(within, selection.to) } : { to: within, from: Math.min(within, selection.from) });
      });
    }
    if (switched) element("dimensions").append(switchOf());
    for (const name of filters) element("dimensions").append(filterOf(name));
    element("reset").addEventListener("click", () => (reset(), show({})));
    document.addEventListener("click", (event) => {
      for (const open of document.querySelectorAll(".filters details[open]")) if (!open.contains(event.target)) open.open = false;
    });
    document.addEventListener("keydown", (event) => {
      const open = document.querySelector(".filters details[open]");
      if (event.key !== "Escape" || !open) return;
      open.open = false;
      open.querySelector("summary").focus();
    });
  }

  function switchOf() {
    const label = made("label", { textContent: `${spec.dimensions[switched].title} ` });
    const select = made("select", { id: "switch" });
    for (const place of choices) select.append(made("option", { value: place, textContent: dictionaries[switched][place] }));
    select.addEventListener("change", () => show({ choice: Number(select.value) }));
    label.append(select);
    return label;
  }

  function filterOf(name) {
    const values = dictionaries[name];
    const title = spec.dimensions[name].title;
    const details = made("details", { id: `filter-${name}` });
    const choices = made("div", { className: "choices" });
    choices.setAttribute("role", "group");
    choices.setAttribute("aria-label", title);
    const choose = (places) => {
      selection.chosen[name] = places === null || places.size === values.length ? null : places;
      show({});
    };
    const all = made("div", { className: "all" });
    for (const [label, isChosen] of [["All", true], ["None", false]]) {
      const button = made("button", { type: "button", textContent: label });
      button.addEventListener("click", () => {
        const places = new Set(selection.chosen[name] || values.keys());
        for (const box of choices.querySelectorAll("label:not([hidden]) input")) {
          if (isChosen) places.add(Number(box.dataset.place));
          else places.delete(Number(box.dataset.place));
        }
        choose(places);
      });
      all.append(button);
    }
    choices.append(all);
    if (values.length > 10) {
      const search = made("input", { type: "search", placeholder: "Find" });
      search.setAttribute("aria-label", `Find: ${title}`);
      search.addEventListener("input", () => {
        const part = search.value.toLowerCase();
        for (const label of choices.querySelectorAll("label")) label.hidden = !label.textContent.toLowerCase().includes(part);
      });
      choices.append(search);
    }
    values.forEach((value, place) => {
      const label = made("label", {});
      const box = made("input", { type: "checkbox" });
      box.dataset.place = place;
      box.addEventListener("change", () => {
        const places = new Set(selection.chosen[name] || values.keys());
        if (box.checked) places.add(place);
        else places.delete(place);
        choose(places);
      });
      label.append(box, made("span", { textContent: value }));
      choices.append(label);
    });
    details.append(made("summary", {}), choices);
    return details;
  }

  function drawFilters() {
    element("from").value = isoDay(selection.from);
    element("to").value = isoDay(selection.to);
    for (const button of element("spans").children) {
      const isIt = selection.to === days - 1 && selection.from === days - Number(button.dataset.length);
      button.setAttribute("aria-pressed", isIt);
    }
    if (switched) element("switch").value = selection.choice;
    for (const name of filters) {
      const chosen = selection.chosen[name];
      const details = element(`filter-${name}`);
      details.classList.toggle("chosen", chosen !== null);
      details.querySelector("summary").textContent = `${spec.dimensions[name].title}: ${chosen ? `${chosen.size} of ${dictionaries[name].length}` : "all"}`;
      for (const box of details.querySelectorAll("input[type=checkbox]")) box.checked = !chosen || chosen.has(Number(box.dataset.place));
    }
  }

  // ---------------------------------------------------------------------------------------------- what is shown

  function show(change) {
    Object.assign(selection, change);
    drawFilters();
    keepInAddress();
    const rows = selectedRows(selection.from, selection.to);
    const dated = Object.keys(rows).filter((model) => !isAnalysis(model));
    const isEmpty = (dated.length ? dated : Object.keys(rows)).every((model) => rows[model].length === 0);
    element("empty").hidden = !isEmpty;
    element("content").hidden = isEmpty;
    const chosen = filters.filter((name) => selection.chosen[name]);
    const choice = switched ? `; ${spec.dimensions[switched].title.toLowerCase()}: ${dictionaries[switched][selection.choice]}` : "";
    const words = chosen.map((name) => `${spec.dimensions[name].title.toLowerCase()}: ${selection.chosen[name].size} of ${dictionaries[name].length}`);
    element("summary").textContent =
      `${spanText(selection.from, selection.to)} (${dayCount(selection.to - selection.from + 1)}, UTC)` + (words.length ? `; ${words.join(", ")}` : "; everything") + choice;
    if (isEmpty) {
      const hasRows = Object.values(datasets).some((dataset) => dataset.length);
      element("empty-why").textContent = hasRows ? "Choose other days or values, or press Reset." : "No day of this report has any data.";
      return;
    }
    drawFigures(rows);
    spec.charts.forEach((chart, place) => drawChart(chart, place, rows));
    for (const table of spec.tables) drawTable(table, rows);
  }

  function drawFigures(rows) {
    const length = selection.to - selection.from + 1;
    const before = selection.from - length >= firstDayWithRows() ? selectedRows(selection.from - length, selection.from - 1) : null;
    element("figures").replaceChildren(
      ...spec.key_figures.map((name) => {
        const measure = spec.measures[name];
        const figure = evaluated(measure, rows, []).get(0) || missingOf(measure);
        const card = made("div", { className: "figure" });
        card.dataset.measure = name;
        card.append(made("h3", { textContent: measure.title }), made("p", { className: "value", textContent: written(measure, figure.value) }));
        const range = interval(measure, figure);
        if (range) card.append(made("p", { className: "interval", textContent: figure.low === figure.high ? range : `95 %: ${range}` }));
        if (measure.above_one && figure.value > 1) card.append(made("p", { className: "above", textContent: measure.above_one }));
        if (figure.of) card.append(made("p", { className: "of", textContent: `${spec.dimensions[measure.value.part].title}: ${figure.of}` }));
        if (isUnfinished(measure, isoDay(selection.to))) card.append(made("p", { className: "unfinished", textContent: `unfinished from ${measure.unfinished_from} on` }));
        const old = before && (evaluated(measure, before, []).get(0) || missingOf(measure));
        const change = isOfAnalysis(measure) ? `as of ${spec.as_of}` : changed(measure, figure.value, old, length);
        card.append(made("p", { className: "change", textContent: change }));
        return card;
      }),
    );
  }

  const isOfAnalysis = ({ value }) => (value.kind === "ratio" ? [value.over, value.under] : [value.sum || value]).some((part) => isAnalysis(part.model));

  function changed(measure, now, old, length) {
    const before = length === 1 ? "the day before" : `the ${length} days before`;
    if (!old || old.value === null) return `no figure for ${before}`;
    if (now === null || old.value === 0) return `${written(measure, old.value)} in ${before}`;
    const change = now / old.value - 1;
    const direction = Math.abs(change) < 0.0005 ? "=" : change > 0 ? "▲" : "▼";
    const points = measure.format === "share" ? ` (${tenths.format(Math.abs(now - old.value) * 100)} points)` : "";
    return `${direction} ${tenths.format(Math.abs(change) * 100)} %${points} against ${before}`;
  }

  // --------------------------------------------------------------------------------------------------- the charts

  const views = [];

  async function buildCharts() {
    for (const [place, chart] of spec.charts.entries()) {
      const where = element(`chart-${place}`);
      const title = where.closest("figure").querySelector("h3").textContent;
      const options = { mode: "vega-lite", renderer: "svg", actions: false, tooltip: { theme: "light" }, logLevel: 1 }; // errors
      views[place] = (await vegaEmbed(where, { ...chart.spec, description: title }, options)).view;
    }
  }

  function drawChart(chart, place, rows) {
    const measure = spec.measures[chart.measure];
    const by = chart.split ? [chart.by, chart.split] : [chart.by];
    const figures = evaluated(measure, rows, by);
    const other = chart.against && spec.measures[chart.against];
    const others = other ? evaluated(other, rows, by) : new Map();
    for (const group of others.keys()) if (!figures.has(group)) figures.set(group, missingOf(measure));
    let found = [...figures].map(([group, figure]) => ({ names: valuesOf(group, by), figure, group }));
    let rest = "";
    if (chart.by === "day") {
      // Each day of the selection has a place on the axis; the line has a gap on a day without a ratio.
      const held = new Set(found.map(({ names }) => names[0]));
      const split = chart.split ? [dictionaries[chart.split][0]] : [];
      for (let day = selection.from; day <= selection.to; day++) {
        if (!held.has(isoDay(day))) found.push({ names: [isoDay(day), ...split], figure: missingOf(measure) });
      }
      found.sort((one, other) => (one.names[0] < other.names[0] ? -1 : 1));
      if (isUnfinished(measure, isoDay(selection.to))) rest = `The shaded days, from ${measure.unfinished_from} on, are unfinished: what comes of them is still to come.`;
    } else if (!chart.lines) {
      const totals = new Map();
      for (const { names, figure, group } of found) {
        const against = (others.get(group) || {}).value || 0; // a bar that is short against its mark is one to see
        totals.set(names[0], (totals.get(names[0]) || 0) + Math.max(figure.value || 0, against));
      }
      const size = (name) => (chart.in_order ? -dictionaries[chart.by].indexOf(name) : totals.get(name));
      const largest = [...totals.keys()].sort((one, other) => size(other) - size(one));
      if (largest.length > chart.top) rest = `The largest ${chart.top} of ${largest.length}; all of them are in the table.`;
      const shown = new Map(largest.slice(0, chart.top).map((name, order) => [name, order]));
      found = found.filter(({ names }) => shown.has(names[0])).sort((one, other) => shown.get(one.names[0]) - shown.get(other.names[0]));
    }
    if (chart.lines) found.sort((one, other) => Number(one.names[0]) - Number(other.names[0]));
    const hasAny = found.some(({ figure }) => figure.value !== null);
    if (chart.by !== "day") found = found.filter(({ figure }) => figure.value !== null);
    const names = [...new Set(found.map((one) => one.names[0]))];
    const short = chart.by !== "day" && spec.dimensions[chart.by].is_identifier ? shortened(names) : new Map();
    // Vega groups by places, not names, since it keeps the values as object keys.
    const places = new Map(names.map((name, order) => [name, order]));
    const splits = chart.split ? spec.dimensions[chart.split].values || dictionaries[chart.split] : [];
    const against = (group) => other && (others.get(group) || missingOf(other)).value;
    if (other) rest = `The mark across a bar: ${other.title.toLowerCase()}. ${rest}`;
    const values = found.map(({ names: [name, split], figure, group }, row) => ({
      by: chart.by === "day" ? Date.parse(name) : chart.lines ? Number(name) : places.get(name),
      full_by: name,
      split,
      place: split === undefined ? 0 : splits.indexOf(split),
      written: written(measure, figure.value),
      interval: interval(measure, figure),
      against: against(group),
      against_written: other && written(other, against(group)),
      said: `${split === undefined ? name : `${name}, ${split}`}: ${written(measure, figure.value)}` + (other ? `, against ${written(other, against(group))}` : ""),
      is_shaded: chart.by === "day" && isUnfinished(measure, name) && found[row - 1]?.names[0] !== name,
      ...figure,
    }));
    element(`chart-${place}`).classList.toggle("nothing", !hasAny);
    element(`chart-${place}-rest`).textContent = rest;
    if (chart.by !== "day" && !chart.lines) views[place].height(names.length * BAR_HEIGHT);
    views[place].signal("names", names.map((name) => short.get(name) || name)).signal("splits", splits);
    views[place].data("rows", values).runAsync();
  }

  // --------------------------------------------------------------------------------------------------- the tables

  const sorted = {}; // by table: the column and whether the order is ascending
  const opened = new Set(); // tables that show all rows

  function contentOf(table, rows) {
    const found = new Map();
    const columns = table.by.map((name) => ({ title: name === "day" ? "Day (UTC)" : spec.dimensions[name].title, name, cell: (row) => row.names[table.by.indexOf(name)], order: orderOf(name, table.by.indexOf(name)) }));
    for (const name of table.details) {
      const newest = newestOf(name, table.measures, rows, table.by);
      columns.push({ title: spec.dimensions[name].title, name, cell: (row) => newest.get(row.group) });
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
      const isToCome = (row) => table.by[0] === "day" && isUnfinished(measure, row.names[0]);
      columns.push({ title: measure.title, measure: name, cell: (row) => figureOf(row).value, write, range, isToCome });
      if (measure.has_interval) {
        for (const end of ["low", "high"]) columns.push({ measure: `${name}_${end}`, cell: (row) => figureOf(row)[end] ?? null, isHidden: true });
      }
      if (place === 0 && table.shares) {
        const total = [...found.values()].reduce((sum, row) => sum + figureOf(row).value, 0);
        columns.push({ title: "Share", measure: `${name}_share`, cell: (row) => (total ? figureOf(row).value / total : null), write: (value) => written({ format: "share" }, value) });
      }
    });
    return { columns, rows: [...found.values()] };
  }

  // Listed values have an order of their own: "7 to 29" comes before "30 to 89".
  function orderOf(name, place) {
    if (name === "day" || !spec.dimensions[name].values) return null;
    return (row) => dictionaries[name].indexOf(row.names[place]);
  }

  // The value of a dimension on each group's newest day, in the rows of the first measure; rows are sorted by day.
  function newestOf(name, measures, rows, by) {
    const value = spec.measures[measures[0]].value;
    const part = value.over || value.sum || value;
    const places = datasets[part.model].columns[name];
    const held = grouped(part, rows, by, () => ({}), (newest, row) => (newest.place = places[row]));
    return new Map([...held].map(([group, newest]) => [group, dictionaries[name][newest.place]]));
  }

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
    const body = shown.map((row) => {
      const tr = made("tr", {});
      columns.forEach((its, place) => {
        const value = its.cell(row);
        const td = made(place === 0 ? "th" : "td", { textContent: its.measure ? its.write(value) : value });
        if (place === 0) td.scope = "row";
        if (!its.measure) td.title = value ?? ""; // CSS cuts long values
        if (its.measure) Object.assign(td, { className: "number" }).dataset.measure = its.measure;
        if (its.isToCome && its.isToCome(row)) Object.assign(td, { title: "unfinished: what comes of this day is still to come" }).classList.add("unfinished");
        const range = its.range && its.range(row);
        if (range) td.append(made("span", { className: "range", textContent: range }));
        tr.append(td);
      });
      return tr;
    });
    const content = made("table", {});
    const thead = made("thead", {});
    const tbody = made("tbody", {});
    thead.append(head);
    tbody.append(...body);
    content.append(thead, tbody);
    section.querySelector(".scroll").replaceChildren(content);
    const more = section.querySelector(".more");
    more.hidden = rows.length <= ROWS_SHOWN;
    more.textContent = opened.has(table.name) ? "Show fewer" : `Show all ${whole.format(rows.length)} rows`;
    more.onclick = () => {
      if (!opened.delete(table.name)) opened.add(table.name);
      drawTable(table, selected);
    };
    section.querySelector(".csv").onclick = () => download(table, all, rows);
  }

  // Nulls sort last in both directions.
  function compared(one, other, ascending) {
    if (one === other) return 0;
    if (one === null || other === null) return one === null ? 1 : -1;
    return (one < other ? -1 : 1) * (ascending ? 1 : -1);
  }

  function download(table, columns, rows) {
    const heading = columns.map((column) => column.measure || column.name);
    const lines = [heading, ...rows.map((row) => columns.map((column) => column.cell(row)))];
    const csv = lines.map((cells) => cells.map(csvCell).join(",")).join("\r\n");
    const link = made("a", { download: `${spec.name}-${table.name}-${isoDay(selection.from)}-${isoDay(selection.to)}.csv` });
    link.href = URL.createObjectURL(new Blob(["\ufeff", csv, "\r\n"], { type: "text/csv;charset=utf-8" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // A spreadsheet would read a text that begins like this as a formula.
  function csvCell(value) {
    if (value === null || typeof value === "number") return value ?? "";
    const text = /^\s*[=+\-@＝＋－＠]|^[\t\r\n]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  // -------------------------------------------------------------------------------------------------- the address

  function keepInAddress() {
    const held = new URLSearchParams({ from: isoDay(selection.from), to: isoDay(selection.to) });
    if (switched) held.set(switched, dictionaries[switched][selection.choice]);
    for (const name of filters) {
      for (const place of selection.chosen[name] || []) held.append(name, dictionaries[name][place]);
      if (selection.chosen[name] && selection.chosen[name].size === 0) held.append(name, "");
    }
    try {
      history.replaceState(null, "", `#${held}`);
    } catch {
      // Some mail programs show an attachment without an address.
    }
  }

  function readAddress() {
    const held = new URLSearchParams(location.hash.slice(1));
    const [from, to] = ["from", "to"].map((name) => placeOfDay(held.get(name)));
    if (from >= 0 && from <= to && to < days) Object.assign(selection, { from, to });
    const choice = switched ? spec.dimensions[switched].one_of.indexOf(held.get(switched)) : -1;
    if (choice >= 0) selection.choice = choice;
    for (const name of filters) {
      const places = held.getAll(name).map((value) => dictionaries[name].indexOf(value));
      if (places.length) selection.chosen[name] = new Set(places.filter((place) => place >= 0));
    }
  }

  // -------------------------------------------------------------------------------------------------------- begin

  function element(id) {
    return document.getElementById(id);
  }

  function made(name, properties) {
    return Object.assign(document.createElement(name), properties);
  }

  async function unpacked(base64) {
    const bytes = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  reset();
  readAddress();
  buildFilters();
  window.addEventListener("hashchange", () => (reset(), readAddress(), show({})));
  await buildCharts();
  show({});
  document.documentElement.dataset.ready = "yes"; // programs can wait for this until the page is drawn
})();
