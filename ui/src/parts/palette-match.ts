/** How well a text fits what was typed: every letter in order, better in runs and at the starts of words. */
export function score(text: string, typed: string): number {
  const t = text.toLowerCase();
  const q = typed.toLowerCase().trim();
  if (!q) return 1;
  const whole = t.indexOf(q);
  if (whole >= 0)
    return 1000 - whole - t.length / 100 + (whole === 0 || /[\s./_-]/.test(t[whole - 1]!) ? 500 : 0);
  let at = 0;
  let points = 0;
  let run = 0;
  for (const c of q) {
    if (c === " ") continue;
    const found = t.indexOf(c, at);
    if (found < 0) return 0;
    run = found === at && at > 0 ? run + 1 : 0;
    points += 1 + run * 2 + (found === 0 || /[\s./_-]/.test(t[found - 1]!) ? 3 : 0);
    at = found + 1;
  }
  return points / (1 + t.length / 50);
}
