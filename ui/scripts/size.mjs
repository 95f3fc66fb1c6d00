// Weighs the first load (the entry, what it imports at once, its styles) gzipped, prints every file, and fails
// the build above the limit. Screens are weighed too, but come later.
import { readFileSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";

const firstLoadLimit = 100_000;
const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));
const weight = (file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length;

function closure(key, seen = new Set()) {
  const chunk = manifest[key];
  if (!chunk || seen.has(key)) return seen;
  seen.add(key);
  for (const imported of chunk.imports ?? []) closure(imported, seen);
  return seen;
}
function filesOf(keys) {
  const files = new Set();
  for (const key of keys) {
    files.add(manifest[key].file);
    for (const css of manifest[key].css ?? []) files.add(css);
  }
  return files;
}

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
const shell = filesOf(closure(entry));
shell.add("index.html");
shell.add("theme.js");
let first = 0;
for (const file of shell) first += weight(file);
const kb = (n) => `${(n / 1000).toFixed(1).padStart(6)} kB`;
console.log(`\nfirst load, gzipped ${kb(first)} of ${kb(firstLoadLimit)}`);
for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry) continue;
  let more = 0;
  for (const file of filesOf(closure(key))) if (!shell.has(file)) more += weight(file);
  console.log(`  ${key.replace(/^src\/screens\//, "").padEnd(18)} + ${kb(more)}`);
}
// Only this script needs the manifest; the server embeds what is left.
rmSync(new URL(".vite/", dist), { recursive: true });
if (first > firstLoadLimit) {
  console.error(`The first load exceeds its limit of ${firstLoadLimit} bytes.`);
  process.exit(1);
}
