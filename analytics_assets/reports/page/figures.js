// What is shown of a selection, and the key figures.

function show(change) {
  Object.assign(selection, change);
  drawFilters();
  keepInAddress();
  const rows = selectedRows(selection.from, selection.to);
  const chosen = filters.filter((name) => selection.chosen[name]);
  const dated = Object.keys(rows).filter((model) => !isAnalysis(model) && !(chosen.length && isApart(model)));
  const isEmpty = (dated.length ? dated : Object.keys(rows)).every((model) => rows[model].length === 0);
  element("empty").hidden = !isEmpty;
  element("content").hidden = isEmpty;
  const choice = switched ? `; ${spec.dimensions[switched].title.toLowerCase()}: ${dictionaries[switched][selection.choice]}` : "";
  const words = chosen.map((name) => `${spec.dimensions[name].title.toLowerCase()}: ${selection.chosen[name].size} of ${dictionaries[name].length}`);
  element("summary").textContent =
    `${spanText(selection.from, selection.to)} (${dayCount(selection.to - selection.from + 1)}, ${spec.timezone})` + `, by ${grainNow()}` + (words.length ? `; ${words.join(", ")}` : "; everything") + choice;
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
  const [newest] = selectedPeriods().slice(-1);
  element("figures").replaceChildren(
    ...spec.key_figures.map((name) => {
      const measure = spec.measures[name];
      const figure = evaluated(measure, rows, []).get(0) || missingOf(measure);
      const card = made("div", { className: "figure" });
      card.dataset.measure = name;
      const add = (className, textContent) => card.append(made("p", { className, textContent }));
      card.append(made("h3", { textContent: measure.title }));
      add("value", written(measure, figure.value));
      const range = interval(measure, figure);
      if (range) add("interval", figure.low === figure.high ? range : `95 %: ${range}`);
      if (measure.above_one && figure.value > 1) add("above", measure.above_one);
      if (figure.of) add("of", `${spec.dimensions[measure.value.part].title}: ${figure.of}`);
      const apart = apartFrom([measure]);
      if (apart) add("of", apart);
      if (isUnfinished(measure, newest)) add("unfinished", `unfinished from ${measure.unfinished_from} on`);
      if (measure.target !== null && figure.value !== null) {
        const isReached = measure.good === "up" ? figure.value >= measure.target : figure.value <= measure.target;
        add(isReached ? "target better" : "target worse", `target ${targetText(measure)}: ${isReached ? "reached" : "missed"}`);
      }
      if (modelsOf(measure).some(isAnalysis)) {
        add("change", `as of ${spec.as_of}`);
      } else {
        const old = before && (evaluated(measure, before, []).get(0) || missingOf(measure));
        const { text, verdict } = changed(measure, figure.value, old, length);
        if (text) add(`change ${verdict}`, verdict ? `${text}: ${verdict}` : text);
      }
      return card;
    }),
  );
}

const targetText = (measure) => `${measure.good === "up" ? "at least" : "at most"} ${written(measure, measure.target)}`;

const MOST_OF_BASE = 10; // times what it was: of a base near zero, a per cent says nothing

// How a figure has changed, and whether that is `better` or `worse`; neither where no direction is.
function changed(measure, now, old, length) {
  const before = length === 1 ? "the day before" : `the ${dayCount(length)} before`;
  if (!old && selection.from <= firstDayWithRows()) return { text: "", verdict: "" }; // nothing was before
  if (!old || old.value === null) return { text: `no figure for ${before}`, verdict: "" };
  if (now === null || old.value === 0) return { text: `${written(measure, old.value)} in ${before}`, verdict: "" };
  const change = (now - old.value) / Math.abs(old.value);
  const verdict = !measure.good ? "" : change > 0 === (measure.good === "up") ? "better" : "worse";
  if (Math.abs(change) > MOST_OF_BASE) {
    return { text: `${change > 0 ? "▲" : "▼"} from ${written(measure, old.value)} in ${before} to ${written(measure, now)}`, verdict };
  }
  const isSame = Math.abs(change) < 0.0005;
  const points = measure.format === "share" ? ` (${tenths.format(Math.abs(now - old.value) * 100)} points)` : "";
  const text = `${isSame ? "=" : change > 0 ? "▲" : "▼"} ${tenths.format(Math.abs(change) * 100)} %${points} against ${before}`;
  return { text, verdict: isSame ? "" : verdict };
}
