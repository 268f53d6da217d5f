// The charts: their rows, from which Vega draws, their legends, and what a click or a key on a mark does.

const BAR_HEIGHT = 24; // pixels
const COLOURS = Array.from({ length: 8 }, (_, place) => `var(--c${place})`); // the last one is for `other`
const INCOMPLETE = 0.45; // how opaque a bar of an incomplete week or month is
const views = [];

async function buildCharts() {
  for (const [place, chart] of spec.charts.entries()) {
    const where = element(`chart-${place}`);
    const title = where.closest("figure").querySelector("h3").textContent;
    const options = { mode: "vega-lite", renderer: "svg", actions: false, logLevel: 1, patch: withTimeTitle }; // errors
    views[place] = (await vegaEmbed(where, { ...chart.spec, description: title }, options)).view;
    views[place].addEventListener("click", (_, item) => pickMark(place, item));
    views[place].addEventListener("keydown", (event, item) => onKey(place, event, item));
    where.addEventListener("focusin", ({ target }) => showTip(place, target));
    where.addEventListener("focusout", () => showTip(place, null));
  }
}

// Vega-Lite knows no title that changes; Vega does.
function withTimeTitle(vega) {
  for (const axis of vega.axes || []) {
    if (axis.title === GRAIN_TITLES.day) axis.title = { signal: `${JSON.stringify(GRAIN_TITLES)}[grain]` };
  }
  return vega;
}

// ------------------------------------------------------------------------------------------------------- the rows

function drawChart(chart, place, rows) {
  const measure = spec.measures[chart.measure];
  const by = chart.steps.length ? [] : chart.split ? [chart.by, chart.split] : [chart.by];
  const other = chart.against && !chart.steps.length && spec.measures[chart.against];
  let found = chart.steps.length ? stepsOf(chart, rows) : figuresBy(by, measure, other, rows);
  const hasAny = found.some(({ figure }) => figure.value !== null);
  const drawn = SHAPES[shapeOf(chart)](chart, measure, found);
  found = drawn.found;
  const said = drawn.said || ((name) => name);
  const splits = drawn.splits || [];
  const colourOf = colours(chart, found);
  const values = found.map(({ names: [name, split], figure, against, ...own }) => {
    const where = split === undefined ? said(name) : `${said(name)}, ${split}`;
    return {
      by: drawn.names.indexOf(name),
      full_by: said(name),
      split,
      place: split === undefined ? 0 : splits.length ? splits.indexOf(split) : dictionaries[chart.split].indexOf(split),
      colour: colourOf(split),
      weight: 1,
      ground: COLOURS[0],
      written: written(measure, figure.value),
      interval: interval(measure, figure),
      against,
      against_written: other && written(other, against),
      said: `${where}: ${written(measure, figure.value)}` + (other ? `, against ${written(other, against)}` : ""),
      pick: pickOf(by, [name, split]),
      ...own,
      ...figure,
    };
  });
  const notes = [...drawn.notes, apartFrom(measuresOf(chart))].filter(Boolean);
  if (other && !chart.shape) notes.unshift(`The mark across a bar: ${other.title.toLowerCase()}.`);
  if (measure.target !== null && !chart.split && !chart.shape) notes.push(`The dashed line: the target, ${targetText(measure)}.`);
  element(`chart-${place}`).classList.toggle("nothing", !hasAny);
  element(`chart-${place}-rest`).textContent = notes.join(" ");
  if (chart.split && !chart.shape) drawLegend(chart, place, values, colourOf);
  if (drawn.height) views[place].height(drawn.height);
  views[place].signal("names", drawn.short || drawn.names).signal("splits", splits).signal("grain", grainNow());
  views[place].data("rows", values).runAsync().then(() => makeReachable(place));
}

const measuresOf = (chart) => [chart.measure, ...chart.steps, chart.against].filter(Boolean).map((name) => spec.measures[name]);

function figuresBy(by, measure, other, rows) {
  const figures = evaluated(measure, rows, by);
  const others = other ? evaluated(other, rows, by) : new Map();
  for (const group of others.keys()) if (!figures.has(group)) figures.set(group, missingOf(measure));
  return [...figures].map(([group, figure]) => {
    const against = other ? (others.get(group) || missingOf(other)).value : undefined;
    return { names: valuesOf(group, by), figure, against };
  });
}

// The measures of a chart with steps; where one of them has no value, none of them is drawn.
function stepsOf(chart, rows) {
  const found = measuresOf(chart).map((measure) => ({ names: [measure.title], figure: { value: (evaluated(measure, rows, []).get(0) || missingOf(measure)).value } }));
  return found.every(({ figure }) => figure.value !== null) ? found : found.map(({ names }) => ({ names, figure: { value: null } }));
}

const shapeOf = (chart) => chart.shape || (chart.by === "day" ? "time" : chart.lines ? "curves" : "bars");

// By kind of chart: the rows in their order, the names that `by` counts, notes, and what else differs.
const SHAPES = { time: overTime, curves, bars, heatmap, scatter, map, funnel, waterfall };

// Each period of the selection has a place on the axis; the line has a gap on one without a ratio.
function overTime(chart, measure, found) {
  const held = new Set(found.map(({ names }) => names[0]));
  const split = chart.split ? [dictionaries[chart.split][0]] : [];
  const begun = selectedPeriods().filter((period) => grainNow() === "day" || heldOf(period).held); // since the first row
  const periods = begun.length ? begun : selectedPeriods();
  const rows = periods.filter(({ name }) => !held.has(name)).map(({ name }) => ({ names: [name, ...split], figure: missingOf(measure) }));
  const { byName } = calendar[grainNow()];
  const drawn = [...found, ...rows].sort((one, other) => (one.names[0] < other.names[0] ? -1 : 1));
  drawn.forEach((row, at) => {
    const period = byName.get(row.names[0]);
    row.by = firstDay + period.first * DAY;
    row.weight = isIncomplete(period) ? INCOMPLETE : 1;
    row.ground = isIncomplete(period) ? "var(--paper)" : COLOURS[0];
    row.is_shaded = isUnfinished(measure, period) && drawn[at - 1]?.names[0] !== row.names[0];
  });
  const notes = [];
  const incomplete = periods.filter(isIncomplete);
  if (incomplete.length) notes.push(`Not whole, and ${chart.split ? "paler" : "hollow"}: ${incomplete.map(spoken).join(", ")}.`);
  if (isUnfinished(measure, periods.at(-1))) {
    notes.push(`The shaded ${grainNow()}s, from ${measure.unfinished_from} on, are unfinished: what comes of them is still to come.`);
  }
  return { found: drawn, names: periods.map(({ name }) => name), notes, said: (name) => spoken(byName.get(name)) };
}

function curves(chart, measure, found) {
  const drawn = found.filter(({ figure }) => figure.value !== null).sort((one, other) => Number(one.names[0]) - Number(other.names[0]));
  for (const row of drawn) row.by = Number(row.names[0]);
  return { found: drawn, names: [], notes: [] };
}

function bars(chart, measure, found) {
  const { largest, notes } = theLargest(chart, chart.by, found);
  const places = new Map(largest.map((name, place) => [name, place]));
  const drawn = found
    .filter(({ names, figure }) => places.has(names[0]) && figure.value !== null)
    .sort((one, other) => places.get(one.names[0]) - places.get(other.names[0]));
  const names = [...new Set(drawn.map((row) => row.names[0]))];
  return { found: drawn, names, notes, short: shortOf(chart.by, names), height: names.length * BAR_HEIGHT };
}

function scatter(chart, measure, found) {
  const drawn = found.filter(({ figure, against }) => figure.value !== null && against !== null);
  return { found: drawn, names: [], notes: [] };
}

function heatmap(chart, measure, found) {
  const across = theLargest(chart, chart.by, found, 0);
  const rows = theLargest(chart, chart.split, found, 1);
  const isShown = ({ names, figure }) => across.largest.includes(names[0]) && rows.largest.includes(names[1]) && figure.value !== null;
  const drawn = found.filter(isShown);
  shade(drawn, 0.1, 0.55); // texts can be read upon it
  const counts = weekdays.slice(selection.from, selection.to + 1).reduce((all, day) => ((all[day] += 1), all), new Array(7).fill(0));
  const notes = [...across.notes, ...rows.notes];
  if ([chart.by, chart.split].includes("weekday") && !measure.is_null_of_nothing && new Set(counts).size > 1) {
    const [least, most] = [Math.min(...counts), Math.max(...counts)];
    notes.push(`The selection is not of whole weeks: some weekdays are in it ${least} times, others ${most}.`);
  }
  const short = chart.by === "weekday" ? across.largest.map((name) => name.slice(0, 3)) : shortOf(chart.by, across.largest);
  return { found: drawn, names: across.largest, splits: rows.largest, notes, short, height: rows.largest.length * (BAR_HEIGHT + 4) };
}

const STEP_HEIGHT = 40; // pixels: a name above a value

function funnel(chart, measure, found) {
  const drawn = found[0].figure.value === null ? [] : found;
  const share = (value, of) => (of ? written({ format: "share" }, value / of) : "–");
  drawn.forEach((row, at) => {
    const { value } = row.figure;
    const [first, last] = [drawn[0], drawn[Math.max(at - 1, 0)]].map(({ figure }) => figure.value);
    Object.assign(row, { start: 0, end: value, share_of_first: share(value, first), share_of_last: share(value, last) });
    row.said = `${row.names[0]}: ${written(measure, value)}` + (at ? `, ${row.share_of_last} of the step before` : "");
  });
  const short = drawn.map((row, at) => `${row.names[0]}\n${written(measure, row.figure.value)}${at ? ` (${row.share_of_first})` : ""}`);
  return { found: drawn, names: drawn.map(({ names }) => names[0]), notes: [], short, height: drawn.length * STEP_HEIGHT };
}

// The first bar and the last are levels and begin at zero; each between them begins where the one before it ended.
function waterfall(chart, measure, found) {
  const drawn = found[0].figure.value === null ? [] : found;
  const signed = (value) => (value > 0 ? "+" : "") + written(measure, value);
  let level = 0;
  drawn.forEach((row, at) => {
    const { value } = row.figure;
    const isLevel = at === 0 || at === drawn.length - 1;
    const start = isLevel ? 0 : level;
    level = start + value;
    const text = isLevel ? written(measure, value) : signed(value);
    Object.assign(row, { start, end: level, next: at < drawn.length - 1 ? at + 1 : null, written: text, said: `${row.names[0]}: ${text}` });
    row.colour = isLevel || !value ? COLOURS[0] : value > 0 ? COLOURS[2] : COLOURS[1];
  });
  const rest = drawn.length ? level - drawn.at(-2).end : 0;
  const largest = Math.max(0, ...drawn.map(({ end }) => Math.abs(end)));
  const notes = Math.abs(rest) > 1e-6 * largest ? [`The steps leave ${signed(rest)} unexplained.`] : [];
  const short = drawn.map((row) => `${row.names[0]}\n${row.written}`);
  return { found: drawn, names: drawn.map(({ names }) => names[0]), notes, short, height: drawn.length * STEP_HEIGHT };
}

function map(chart, measure, found) {
  const byCode = new Map(found.filter(({ figure }) => figure.value !== null).map((row) => [row.names[0], row]));
  shade([...byCode.values()], 0.25, 1);
  const drawn = Object.entries(countries).map(([code, { geometry }]) => {
    const row = byCode.get(code) || { names: [code], figure: { value: null } };
    return { ...row, type: "Feature", geometry };
  });
  const elsewhere = [...byCode.keys()].filter((code) => !Object.hasOwn(countries, code));
  const notes = elsewhere.length ? [`Not on the map: ${elsewhere.slice(0, 8).join(", ")}${elsewhere.length > 8 ? ", …" : ""}; the table has them.`] : [];
  return { found: drawn, names: [], notes, said: (code) => (Object.hasOwn(countries, code) ? `${countries[code].name} (${code})` : code) };
}

// What is little can still be told from nothing.
function shade(rows, least, most) {
  const largest = Math.max(...rows.map(({ figure }) => Math.abs(figure.value)));
  for (const row of rows) row.weight = least + (most - least) * (largest ? Math.abs(row.figure.value) / largest : 0);
}

// The values of a dimension with most, or in their order, as many as the chart shows.
function theLargest(chart, name, found, at = 0) {
  const totals = new Map();
  for (const { names, figure, against } of found) {
    const size = Math.max(figure.value || 0, against || 0); // a bar that is short against its mark is one to see
    totals.set(names[at], (totals.get(names[at]) || 0) + size);
  }
  const inOrder = chart.in_order || (chart.shape === "heatmap" && spec.dimensions[name].values);
  const size = (value) => (inOrder ? -dictionaries[name].indexOf(value) : totals.get(value));
  const largest = [...totals.keys()].sort((one, other) => size(other) - size(one));
  const notes = largest.length > chart.top ? [`The largest ${chart.top} of ${largest.length}; all of them are in the table.`] : [];
  return { largest: largest.slice(0, chart.top), notes };
}

function shortOf(name, names) {
  const short = spec.dimensions[name].is_identifier ? shortened(names) : new Map();
  return names.map((one) => short.get(one) || one);
}

// ----------------------------------------------------------------------------------------- colours and the legend

// A listed value always has the same colour, and so has each of a few; of many, those that are there have different ones.
function colours(chart, found) {
  if (!chart.split || chart.shape) return () => COLOURS[0];
  const { values } = spec.dimensions[chart.split];
  const all = values || dictionaries[chart.split];
  const present = new Set(found.map(({ names }) => names[1]));
  const order = values || all.length <= COLOURS.length ? all : all.filter((name) => present.has(name));
  return (name) => (values && name === values.at(-1) ? COLOURS.at(-1) : COLOURS[order.indexOf(name) % COLOURS.length]);
}

function drawLegend(chart, place, values, colourOf) {
  const all = spec.dimensions[chart.split].values || dictionaries[chart.split];
  const present = new Set(values.filter(({ value }) => value).map(({ split }) => split));
  const isFilter = filters.includes(chart.split);
  element(`chart-${place}-legend`).replaceChildren(
    ...all.filter((name) => present.has(name)).map((name) => {
      const entry = made("li", {});
      const mark = made("span", { className: "mark" });
      mark.style.background = colourOf(name);
      const pick = isFilter ? { name: chart.split, place: dictionaries[chart.split].indexOf(name) } : null;
      entry.append(mark, pick ? pickButton(pick, name, `chart-${place}-legend`) : name);
      return entry;
    }),
  );
}

// A value that filters by itself; after the page is drawn anew, its successor has the focus.
function pickButton(pick, textContent, area) {
  const button = made("button", { type: "button", className: "pick", textContent });
  Object.assign(button.dataset, { filter: pick.name, place: pick.place });
  button.setAttribute("aria-pressed", isPicked(pick));
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    toggle(pick);
    const again = element(area).querySelector(`button.pick[data-filter="${pick.name}"][data-place="${pick.place}"]`);
    (again || element("figures")).focus();
  });
  return button;
}

// -------------------------------------------------------------------------------------------------- marks by keyboard

const marksOf = (place) => [...element(`chart-${place}`).querySelectorAll("svg [aria-roledescription]")].filter((mark) => mark.__data__?.datum?.said && mark.getAttribute("aria-roledescription") !== "rule");

// One mark of a chart takes the focus by Tab, the others by the arrows; each is a button if a click on it filters.
function makeReachable(place, at = 0) {
  marksOf(place).forEach((mark, order) => {
    mark.setAttribute("tabindex", order === at ? 0 : -1);
    const { pick } = mark.__data__.datum;
    mark.classList.toggle("pick", Boolean(pick));
    if (!pick) return;
    mark.setAttribute("role", "button");
    mark.setAttribute("aria-pressed", isPicked(pick));
  });
}

function pickMark(place, item) {
  const pick = item?.datum?.pick;
  if (pick) toggle(pick);
  return Boolean(pick);
}

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

function onKey(place, event, item) {
  const marks = marksOf(place);
  const at = marks.indexOf(event.target);
  if (at < 0) return;
  if (event.key in STEPS) {
    const next = Math.min(Math.max(at + STEPS[event.key], 0), marks.length - 1);
    makeReachable(place, next);
    marks[next].focus();
  } else if (event.key === "Enter" || event.key === " ") {
    const { pick } = item.datum;
    if (pickMark(place, item)) views[place].runAsync().then(() => focusOn(place, pick));
  } else {
    return;
  }
  event.preventDefault();
}

function focusOn(place, pick) {
  const isIt = (mark) => mark.__data__.datum.pick?.place === pick.place;
  const at = Math.max(marksOf(place).findIndex(isIt), 0);
  makeReachable(place, at);
  marksOf(place)[at]?.focus();
}

// What a pointer sees above a mark, a mark with the focus shows as well.
function showTip(place, mark) {
  const { x, y, width, height } = mark ? mark.getBoundingClientRect() : {};
  const item = mark?.__data__;
  views[place].tooltip()(null, { clientX: x + width / 2, clientY: y + height / 2 }, item, item?.tooltip);
}
