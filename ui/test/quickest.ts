/** Milliseconds of the quickest of a few runs: a machine that stands still now and then does not count. */
export function quickest(run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}
