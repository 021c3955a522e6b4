/** Dark or light: as the browser is asked for, or as the button says from then on. */
export function theme() {
  const asked = matchMedia("(prefers-color-scheme: dark)");
  const [sheet, button] = ["dark", "theme"].map((id) => document.getElementById(id));
  const set = (dark) => {
    sheet.media = dark ? "all" : "not all";
    button.setAttribute("aria-pressed", dark);
  };
  let own = localStorage.getItem("theme");
  set(own ? own === "dark" : asked.matches);
  asked.addEventListener("change", () => own || set(asked.matches));
  button.addEventListener("click", () => {
    own = button.getAttribute("aria-pressed") === "true" ? "light" : "dark";
    localStorage.setItem("theme", own);
    set(own === "dark");
  });
}
