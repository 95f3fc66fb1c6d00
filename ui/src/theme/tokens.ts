/**
 * The one table of colours. The stylesheet (`--bg`, `--text`, …) is made from it at build time, charts read
 * it through `colors()` of theme.ts, and test/tokens.test.ts checks its contrast and how far series stay apart.
 * `bad` is only for errors, `warn` only for what needs a person; errors are never a series colour.
 */
export type Theme = "light" | "dark";

export interface Tokens {
  bg: string;
  surface: string;
  raised: string;
  hover: string;
  selected: string;
  line: string;
  strong: string;
  text: string;
  muted: string;
  accent: string;
  onAccent: string;
  good: string;
  warn: string;
  bad: string;
  info: string;
  series: readonly string[];
}

export const tokens: Record<Theme, Tokens> = {
  light: {
    bg: "#f8f8f6",
    surface: "#ffffff",
    raised: "#ffffff",
    hover: "#f1f1ee",
    selected: "#e4f0f1",
    line: "#e3e3df",
    strong: "#c4c5c0",
    text: "#1a1c1e",
    muted: "#5d6168",
    accent: "#0b6b74",
    onAccent: "#ffffff",
    good: "#22702f",
    warn: "#8a5a00",
    bad: "#c02a26",
    info: "#2458b8",
    series: [
      "#2c6ac9",
      "#f49d34",
      "#149a8b",
      "#9e67e7",
      "#a48900",
      "#49a8dd",
      "#7f5737",
      "#c759a5",
      "#5f6d81",
      "#4d9935",
    ],
  },
  dark: {
    bg: "#101214",
    surface: "#15181b",
    raised: "#1d2125",
    hover: "#1f2327",
    selected: "#17313a",
    line: "#272c31",
    strong: "#434a52",
    text: "#e6e8ea",
    muted: "#9aa1a9",
    accent: "#56c1c7",
    onAccent: "#0b1a1c",
    good: "#6cc479",
    warn: "#e0ad4b",
    bad: "#f27a72",
    info: "#82aef5",
    series: [
      "#5b88dc",
      "#e1933b",
      "#2fbfab",
      "#b68fff",
      "#d2b62a",
      "#7bc8f2",
      "#b58a66",
      "#f68ed1",
      "#899bb0",
      "#7bc45f",
    ],
  },
};

function rules(theme: Tokens): string {
  return Object.entries(theme)
    .flatMap(([name, value]) =>
      typeof value === "string"
        ? [`--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}:${value}`]
        : (value as readonly string[]).map((color, i) => `--series-${i}:${color}`),
    )
    .join(";");
}

/** The stylesheet of the tokens: follows the system, can be forced by data-theme on the root element. */
export function tokensCss(): string {
  return `:root{color-scheme:light;${rules(tokens.light)}}
@media (prefers-color-scheme: dark){:root:not([data-theme=light]){color-scheme:dark;${rules(tokens.dark)}}}
:root[data-theme=dark]{color-scheme:dark;${rules(tokens.dark)}}`;
}
