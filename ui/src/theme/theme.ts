/**
 * The theme in force: follows the system unless forced in the settings. Canvas parts read `colors.value`,
 * which changes with the theme; everything else uses the CSS variables.
 */
import { computed, signal } from "@preact/signals";
import { type Theme, type Tokens, tokens } from "./tokens";

export type ThemeChoice = Theme | "system";

const dark = typeof matchMedia === "function" ? matchMedia("(prefers-color-scheme: dark)") : undefined;
const systemTheme = signal<Theme>(dark?.matches ? "dark" : "light");
dark?.addEventListener("change", () => {
  systemTheme.value = dark.matches ? "dark" : "light";
});

function stored(): ThemeChoice {
  try {
    const value = localStorage.getItem("varan.theme");
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

/** What the reader chose: light, dark, or as the system says. */
export const themeChoice = signal<ThemeChoice>(stored());

/** The theme on the screen. */
export const theme = computed<Theme>(() =>
  themeChoice.value === "system" ? systemTheme.value : themeChoice.value,
);

/** The colour tokens of the theme on the screen, for canvases. */
export const colors = computed<Tokens>(() => tokens[theme.value]);

export function chooseTheme(choice: ThemeChoice): void {
  themeChoice.value = choice;
  try {
    if (choice === "system") localStorage.removeItem("varan.theme");
    else localStorage.setItem("varan.theme", choice);
  } catch {
    // Private windows may refuse storage; the choice then lasts as long as the page.
  }
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
}
