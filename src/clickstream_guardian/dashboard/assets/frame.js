/* Pages lie at the root: do not look for the server below their addresses. */
window.__streamlit = { BACKEND_BASE_URL: location.origin };

/* Dark, light or as the system has it: one choice for all pages, kept in this browser. */
(() => {
  const KEY = "guardian.theme";
  const choice = () => localStorage.getItem(KEY) ?? "System";
  const apply = () => {
    document.documentElement.dataset.guardianTheme = choice();
    localStorage.setItem(`stActiveTheme-${location.pathname}-v2`, JSON.stringify(choice()));
  };
  apply();
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-theme]");
    if (!button || button.dataset.theme === choice()) return;
    localStorage.setItem(KEY, button.dataset.theme);
    apply();
    location.reload();
  });
})();
