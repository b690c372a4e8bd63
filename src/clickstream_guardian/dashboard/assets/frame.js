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

/* Back and forward: Streamlit returns to the page but not to its filters; the address knows both. */
window.addEventListener("popstate", (event) => {
  if (location.hash) return;
  event.stopImmediatePropagation();
  location.reload();
}, { capture: true });

/* When Streamlit opens a page with parameters, it first gives them to the page it leaves: one
   entry of the history too many, which Back would stop at. */
const push = history.pushState.bind(history);
history.pushState = (state, unused, url) => {
  const next = new URL(url ?? location.href, location.href);
  const same = next.search !== "" && next.search === location.search;
  if (same && next.pathname !== location.pathname) history.replaceState(state, unused, url);
  else push(state, unused, url);
};
