// The days, the grain, the switch and the filters.

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
  element("grain").addEventListener("change", (event) => show({ grain: event.target.value || null }));
  if (switched) element("dimensions").append(switchOf());
  for (const name of filters) element("dimensions").append(filterOf(name));
  element("reset").addEventListener("click", () => (reset(), show({})));
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll(".dimensions details[open]")) if (!open.contains(event.target)) open.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const open = document.querySelector(".dimensions details[open]");
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
  element("grain").value = selection.grain || "";
  element("grain").options[0].textContent = `by the span (${grainNow()})`;
  if (switched) element("switch").value = selection.choice;
  for (const name of filters) {
    const chosen = selection.chosen[name];
    const details = element(`filter-${name}`);
    details.classList.toggle("chosen", chosen !== null);
    details.querySelector("summary").textContent = `${spec.dimensions[name].title}: ${chosen ? `${chosen.size} of ${dictionaries[name].length}` : "all"}`;
    for (const box of details.querySelectorAll("input[type=checkbox]")) box.checked = !chosen || chosen.has(Number(box.dataset.place));
  }
}

// ---------------------------------------------------------------------------------- a click on a bar or a row filters

// What a click on something with these values filters by: the first of its dimensions that is a filter; null if none is.
function pickOf(by, names) {
  const at = by.findIndex((name) => filters.includes(name));
  if (at < 0 || names[at] === undefined) return null;
  return { name: by[at], place: dictionaries[by[at]].indexOf(names[at]) };
}

function isPicked(pick) {
  const chosen = selection.chosen[pick.name];
  return chosen !== null && chosen.size === 1 && chosen.has(pick.place);
}

// Chooses one value alone; if it is chosen alone already, takes the filter off.
function toggle(pick) {
  selection.chosen[pick.name] = isPicked(pick) || dictionaries[pick.name].length === 1 ? null : new Set([pick.place]);
  show({});
}
