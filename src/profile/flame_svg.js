"use strict";
(function () {
  const frames = [...document.querySelectorAll("#frames > g")];
  const width = 1200;
  const says = document.getElementById("says");
  const parts = frames.map((g) => ({
    g, rect: g.querySelector("rect"), text: g.querySelector("text"),
    name: g.querySelector("title").textContent, x: Number(g.dataset.x), w: Number(g.dataset.w),
    y: Number(g.querySelector("rect").getAttribute("y")),
  }));

  /* Stretches the frame to the whole width; what lies beside it and its callers is hidden. */
  function zoom(to) {
    for (const p of parts) {
      const below = p.y > to.y, inside = p.x >= to.x - 0.001 && p.x + p.w <= to.x + to.w + 0.001;
      const around = p.x <= to.x + 0.001 && p.x + p.w >= to.x + to.w - 0.001;
      p.g.style.display = (below ? around : inside) ? "" : "none";
      p.g.style.opacity = below && around ? 0.5 : 1;
      const x = below ? 0 : ((p.x - to.x) * width) / to.w, w = below ? width : (p.w * width) / to.w;
      p.rect.setAttribute("x", x);
      p.rect.setAttribute("width", Math.max(w - 0.4, 0.1));
      p.text.setAttribute("x", x + 3);
      const line = p.name.split(/ \(|\n/)[0], room = Math.floor((w - 6) / 7);
      p.text.textContent = room < 1 ? "" : [...line].slice(0, room).join("");
    }
  }

  function search() {
    const text = prompt("Search for (a regular expression)", "");
    if (text === null) return;
    let pattern = null;
    try { pattern = text ? new RegExp(text, "i") : null; } catch { return; }
    const found = parts.filter((p) => pattern && pattern.test(p.name.split("\n")[0]));
    const outer = found.filter((p) => !found.some((o) => o !== p && o.y > p.y && o.x <= p.x + 0.001 && o.x + o.w >= p.x + p.w - 0.001));
    for (const p of parts) p.g.classList.toggle("found", found.includes(p));
    says.textContent = pattern ? ((100 * outer.reduce((sum, p) => sum + p.w, 0)) / width).toFixed(1) + " % match" : "";
  }

  for (const p of parts) p.g.addEventListener("click", () => zoom(p));
  document.getElementById("search").addEventListener("click", search);
  document.getElementById("reset").addEventListener("click", () => zoom(parts[0]));
})();
