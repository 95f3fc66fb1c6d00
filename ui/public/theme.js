// Sets a forced theme before the first paint, so that nothing flashes. Kept apart from the bundle
// because it must run before the stylesheet is applied, and out of the page for a strict CSP.
try {
  var varanTheme = localStorage.getItem("varan.theme");
  if (varanTheme === "light" || varanTheme === "dark") document.documentElement.dataset.theme = varanTheme;
} catch (e) {}
