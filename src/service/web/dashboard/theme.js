// Light or dark, before anything is drawn: not a module, since these run only after the page is there.
// The style sheet follows the system unless the root says otherwise.

(() => {
  const NAME = "forewarm.theme";
  const root = document.documentElement;

  function remembered() {
    try {
      return localStorage.getItem(NAME) ?? "";
    } catch {
      return ""; // A browser may keep nothing for us.
    }
  }

  function show(theme) {
    if (theme === "light" || theme === "dark") {
      root.dataset.theme = theme;
    } else {
      delete root.dataset.theme;
    }
  }

  function choose(theme) {
    show(theme);
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // Then it lasts as long as the page.
    }
  }

  show(remembered());
  addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = root.dataset.theme ?? "";
    select.addEventListener("change", () => choose(select.value));
    document.getElementById("too-old").hidden = CSS.supports("color", "light-dark(#000, #fff)");
  });
})();
