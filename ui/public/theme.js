// Sets a forced theme before the first paint, so that nothing flashes. Kept apart from the bundle
// because it must run before the stylesheet is applied, and out of the page for a strict CSP.
(() => {
  try {
    const theme = localStorage.getItem("varan.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be refused; the theme then follows the system.
  }
})();
