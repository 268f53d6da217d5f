// How values, days and names are written.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const upToFour = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
const threeDigits = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const upToTenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

function written(measure, value) {
  if (value === null || value === undefined) return "–";
  if (measure.format === "share") return `${tenths.format(value * 100)} %`;
  if (measure.format === "seconds") return `${tenths.format(value)} s`;
  const mean = value && Math.abs(value) < 1 ? threeDigits : Math.abs(value) < 1000 ? tenths : whole;
  const number = { plain: upToFour, mean, money: hundredths, count: Math.abs(value) < 100 ? upToTenths : whole };
  return number[measure.format].format(value) + (measure.unit ? ` ${measure.unit}` : "");
}

function interval(measure, figure) {
  if (figure.low === undefined) return measure.has_interval && figure.value !== null ? "too few rows" : "";
  if (figure.low === figure.high) return "not sampled";
  return `${written(measure, figure.low)} to ${written(measure, figure.high)}`;
}

function isoDay(place) {
  return new Date(firstDay + place * DAY).toISOString().slice(0, 10);
}

const GRAIN_TITLES = { day: `Day (${spec.timezone})`, week: `Week from Monday (${spec.timezone})`, month: `Month (${spec.timezone})` };
const titleOf = (name) => (name === "day" ? GRAIN_TITLES[grainNow()] : spec.dimensions[name].title);

// A day, a week or a month as a sentence has it; how many of its days are there stands beside it, if not all are.
function spoken(period) {
  const missing = missingDays(period);
  return (grainNow() === "week" ? `week from ${period.name}` : period.name) + (missing ? ` (${missing})` : "");
}
const placeOfDay = (text) => Math.round((Date.parse(text) - firstDay) / DAY);
const spanText = (from, to) => (from === to ? isoDay(from) : `${isoDay(from)} to ${isoDay(to)}`);
const dayCount = (count) => `${whole.format(count)} day${count === 1 ? "" : "s"}`;

// Shortens long identifiers to their first letters, as many as distinguish them.
function shortened(names) {
  for (let length = 8; ; length++) {
    const short = names.map((name) => (name.length > length + 5 ? `${name.slice(0, length)}…` : name));
    if (new Set(short).size === names.length) return new Map(names.map((name, place) => [name, short[place]]));
  }
}
