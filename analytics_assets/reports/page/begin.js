// Draws the page for the first time.

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

// On a phone the first figure stands on the first screen: what can wait is folded.
if (matchMedia("(max-width: 640px)").matches) for (const fold of document.querySelectorAll("details.fold")) fold.open = false;
element("behind").querySelector(".close").addEventListener("click", () => element("behind").close());
reset();
readAddress();
buildFilters();
window.addEventListener("hashchange", () => (reset(), readAddress(), show({})));
await buildCharts();
show({});
document.documentElement.dataset.ready = "yes"; // programs can wait for this until the page is drawn
