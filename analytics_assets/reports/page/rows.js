// What the page holds, and what of it is selected. All parts of the script stand in one function, in the order that
// dashboard.py names. They need no network, and their only state is the selection; it is also in the address, so that
// a view can be sent to somebody.

const spec = JSON.parse(element("spec").textContent);
if (typeof DecompressionStream === "undefined") {
  element("broken").hidden = false;
  return;
}
const { dictionaries, datasets, countries } = await unpacked(element("rows").textContent);
const DAY = 86400000;
const firstDay = Date.parse(spec.first_day);
const days = (Date.parse(spec.as_of) - firstDay) / DAY + 1;
const filters = Object.keys(spec.dimensions).filter((name) => spec.dimensions[name].is_filter);
const switched = spec.switch; // the dimension of which one value counts at a time, or null
const choices = switched ? [...spec.dimensions[switched].one_of.keys()] : []; // their places: they are the first
dictionaries.weekday = spec.dimensions.weekday.values.slice(0, 7); // the last one is `other`

// An analysis is as of the report's day: it has no other days to choose, and perhaps no such dimension.
const isAnalysis = (model) => spec.datasets[model].is_analysis;

// A filter by a dimension that a dataset lacks leaves it as it is if it stands apart, as an analysis does.
const isApart = (model) => spec.datasets[model].is_apart;
const leavesAsItIs = (name, model) => isApart(model) && !datasets[model].columns[name];

// ------------------------------------------------------------------------------------------------- the selection

// from, to: days counted from the first one, both included. chosen: for each filter, the places of the chosen values
// in its dictionary, or null for all values. choice: the place of the one value that counts. grain: day, week or month,
// or null for what fits the span.
const selection = { from: 0, to: days - 1, chosen: {}, choice: 0, grain: null };

function firstDayWithRows() {
  return Math.min(days - 1, ...Object.values(datasets).filter((d) => d.length).map((d) => d.columns.day[0]));
}

// Selects the longest span that leaves a period of the same length before it; everything while there are few days, or few
// that have rows.
function reset() {
  const known = days - firstDayWithRows();
  const span = (!spec.opens_on_all && [28, 14, 7].find((length) => 2 * length <= known)) || days;
  Object.assign(selection, { from: days - span, to: days - 1, choice: 0, grain: null });
  for (const name of filters) selection.chosen[name] = null;
}

function selectedRows(from, to) {
  const found = {};
  for (const [model, dataset] of Object.entries(datasets)) {
    const names = filters.filter((name) => selection.chosen[name] && !leavesAsItIs(name, model));
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

// ---------------------------------------------------------------------------------------- days, weeks and months

const LONGEST_BY_DAY = 45;
const LONGEST_BY_WEEK = 400;

// The days of a period may begin before those of the report, or end after them.
function spanOf(grain, day) {
  const date = new Date(firstDay + day * DAY);
  if (grain === "day") return { first: day, last: day };
  if (grain === "week") {
    const monday = day - ((date.getUTCDay() + 6) % 7); // as ISO 8601 has it
    return { first: monday, last: monday + 6 };
  }
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  return { first: (Date.UTC(year, month, 1) - firstDay) / DAY, last: (Date.UTC(year, month + 1, 1) - firstDay) / DAY - 1 };
}

// By grain: its periods in order, the period's place for each day, and the place by the period's name.
const calendar = Object.fromEntries(
  ["day", "week", "month"].map((grain) => {
    const periods = [];
    const places = [];
    for (let day = 0; day < days; day++) {
      const span = spanOf(grain, day);
      if (!periods.length || periods.at(-1).first !== span.first) {
        periods.push({ ...span, name: grain === "month" ? isoDay(span.first).slice(0, 7) : isoDay(span.first) });
      }
      places.push(periods.length - 1);
    }
    return [grain, { periods, places, byName: new Map(periods.map((period) => [period.name, period])) }];
  }),
);
const weekdays = Array.from({ length: days }, (_, day) => (new Date(firstDay + day * DAY).getUTCDay() + 6) % 7);

function grainNow() {
  const length = selection.to - selection.from + 1;
  return selection.grain || (length <= LONGEST_BY_DAY ? "day" : length <= LONGEST_BY_WEEK ? "week" : "month");
}

// How many of a period's days are selected and can have rows, and how many it has.
function heldOf(period) {
  const held = Math.min(period.last, selection.to) - Math.max(period.first, selection.from, firstDayWithRows()) + 1;
  return { held: Math.max(held, 0), of: period.last - period.first + 1 };
}

const isIncomplete = (period) => heldOf(period).held < heldOf(period).of;
const missingDays = (period) => (isIncomplete(period) ? `${heldOf(period).held} of ${heldOf(period).of} days` : "");

function selectedPeriods() {
  const { periods, places } = calendar[grainNow()];
  return periods.slice(places[selection.from], places[selection.to] + 1);
}

// A dataset's columns, its days as places of the grain's periods. Weeks and months are evaluated over their rows, as any
// other group is: nothing is summed or averaged from days.
const derived = {};
function columnsOf(model) {
  const { columns } = datasets[model];
  const grain = grainNow();
  return ((derived[model] ||= {})[grain] ||= {
    ...columns,
    day: columns.day.map((day) => calendar[grain].places[day]),
    weekday: columns.day.map((day) => weekdays[day]),
  });
}
