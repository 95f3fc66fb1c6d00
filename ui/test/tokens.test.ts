// Protects: text stays readable (WCAG AA) on every ground in both themes, and the series colours stay apart for
// people who see colours differently.
import { describe, expect, test } from "vitest";
import { tokens, tokensCss } from "../src/theme/tokens";

type Rgb = [number, number, number];
const rgb = (hex: string): Rgb => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16) / 255) as Rgb;
const linear = (c: number) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);

function luminance(hex: string): number {
  const [r, g, b] = rgb(hex).map(linear) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

// Simulation of dichromacy in linear RGB, after Viénot, Brettel and Mollon (1999).
const sight: Record<string, number[][]> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.11238, 0.88762, 0],
    [0.11238, 0.88762, 0],
    [0.00401, -0.00401, 1],
  ],
  deuteranopia: [
    [0.29275, 0.70725, 0],
    [0.29275, 0.70725, 0],
    [-0.02234, 0.02234, 1],
  ],
};

function lab(hex: string, matrix: number[][]): Rgb {
  const c = rgb(hex).map(linear) as Rgb;
  const [r, g, b] = matrix.map((row) =>
    Math.min(1, Math.max(0, row[0]! * c[0] + row[1]! * c[1] + row[2]! * c[2])),
  ) as Rgb;
  const f = (t: number) => (t > 216 / 24389 ? Math.cbrt(t) : (t * 24389) / 27 / 116 + 16 / 116);
  const x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047);
  const y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
  const z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

const distance = (a: Rgb, b: Rgb) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

describe.each(["light", "dark"] as const)("%s", (name) => {
  const t = tokens[name];
  const grounds = ["bg", "surface", "raised", "hover", "selected"] as const;
  const texts = ["text", "muted", "accent", "good", "warn", "bad", "info"] as const;
  for (const text of texts) {
    for (const ground of grounds) {
      test(`${text} on ${ground}`, () => {
        expect(contrast(t[text], t[ground])).toBeGreaterThanOrEqual(4.5);
      });
    }
  }
  test("text on the accent", () => expect(contrast(t.onAccent, t.accent)).toBeGreaterThanOrEqual(4.5));
  test("toasts: surface on text and on bad", () => {
    expect(contrast(t.surface, t.text)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(t.surface, t.bad)).toBeGreaterThanOrEqual(4.5);
  });
  test("series are seen on the ground", () => {
    for (const c of t.series) expect(contrast(c, t.surface)).toBeGreaterThanOrEqual(2);
  });
  test.each(Object.keys(sight))("ten series stay apart: %s", (kind) => {
    expect(t.series).toHaveLength(10);
    const points = t.series.map((c) => lab(c, sight[kind]!));
    let least = Number.POSITIVE_INFINITY;
    let pair = "";
    points.forEach((a, i) => {
      for (let j = i + 1; j < points.length; j++) {
        const d = distance(a, points[j]!);
        if (d < least) {
          least = d;
          pair = `${t.series[i]} and ${t.series[j]}`;
        }
      }
    });
    expect(least, pair).toBeGreaterThanOrEqual(kind === "normal" ? 20 : 10);
  });
  test("no series looks like an error", () => {
    for (const c of t.series) {
      expect(distance(lab(c, sight.normal!), lab(t.bad, sight.normal!)), c).toBeGreaterThanOrEqual(25);
    }
  });
});

test("the stylesheet has every token for both themes, system and forced", () => {
  const css = tokensCss();
  for (const theme of ["light", "dark"] as const) {
    expect(css).toContain(`--on-accent:${tokens[theme].onAccent}`);
    expect(css).toContain(`--series-9:${tokens[theme].series[9]}`);
  }
  expect(css.match(/--bg:/g)).toHaveLength(3);
});
