// The theme, before the first paint: what was chosen here, or what the system prefers. A classic script in the head, so that nothing flashes.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("wirebook.theme");
    } catch {
      return null;
    }
  };
  const apply = () => {
    const theme = chosen();
    document.documentElement.dataset.theme = theme === "dark" || theme === "light" ? theme : system.matches ? "dark" : "light";
    document.dispatchEvent(new Event("themechange"));
  };
  system.addEventListener("change", apply);
  apply();

  window.wirebookTheme = {
    chosen: () => chosen() ?? "system",
    choose(theme) {
      try {
        if (theme === "system") localStorage.removeItem("wirebook.theme");
        else localStorage.setItem("wirebook.theme", theme);
      } catch {
        // Storage is off: the choice lasts as long as the page.
        document.documentElement.dataset.theme = theme === "system" ? (system.matches ? "dark" : "light") : theme;
        document.dispatchEvent(new Event("themechange"));
        return;
      }
      apply();
    },
  };
})();
