// The selection as the part of the address behind the #.

function keepInAddress() {
  const held = new URLSearchParams({ from: isoDay(selection.from), to: isoDay(selection.to) });
  if (selection.grain) held.set("grain", selection.grain);
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
  if (Object.hasOwn(calendar, held.get("grain"))) selection.grain = held.get("grain");
  const choice = switched ? spec.dimensions[switched].one_of.indexOf(held.get(switched)) : -1;
  if (choice >= 0) selection.choice = choice;
  for (const name of filters) {
    const places = held.getAll(name).map((value) => dictionaries[name].indexOf(value));
    if (places.length) selection.chosen[name] = new Set(places.filter((place) => place >= 0));
  }
}
