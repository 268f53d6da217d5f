// Evaluates measures over rows, as analytics_assets/reports/figures.py does for the workbook.

const Z = 1.96;
const FEWEST_ROWS = 30;

// A group is one number that combines the places of its values.
const sizeOf = (name) => (name === "day" ? calendar[grainNow()].periods.length : dictionaries[name].length);
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
  return by.map((name) => (name === "day" ? calendar[grainNow()].periods[places[name]].name : dictionaries[name][places[name]]));
}

// Of the switch, the rows of the chosen value count. If the groups are by it, all do, those without a value in each.
function grouped(part, rows, by, begin, add) {
  const columns = columnsOf(part.model);
  const sizes = by.map(sizeOf);
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
      by.forEach((name, at) => (group = group * sizes[at] + (name === switched ? place : columns[name][row])));
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
const isUnfinished = (measure, period) => measure.unfinished_from !== null && isoDay(Math.min(period.last, selection.to)) >= measure.unfinished_from;
const partsOf = ({ value }) => (value.kind === "ratio" ? [value.over, value.under] : [value.sum || value]);
const modelsOf = (measure) => [...new Set(partsOf(measure).map((part) => part.model))];

// What a reader must know who has chosen a filter that does not act on these measures; empty if there is none.
function apartFrom(measures) {
  const models = [...new Set(measures.flatMap(modelsOf))];
  const names = filters.filter((name) => selection.chosen[name] && models.some((model) => leavesAsItIs(name, model)));
  return names.length ? `Not filtered by ${names.map((name) => spec.dimensions[name].title.toLowerCase()).join(", ")}.` : "";
}

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
