import { defineConfig, type Plugin } from "vite";
import { tokensCss } from "./src/theme/tokens.ts";

// The colour tokens exist once, in src/theme/tokens.ts; the stylesheet is made from them.
function tokens(): Plugin {
  const id = "virtual:tokens.css";
  return {
    name: "varan-tokens",
    resolveId: (source) => (source === id ? `\0${id}` : null),
    load: (source) => (source === `\0${id}` ? tokensCss() : null),
  };
}

const server = process.env.VARAN_SERVER ?? "http://127.0.0.1:8272";

export default defineConfig({
  plugins: [tokens()],
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    manifest: true,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/api": server,
      "/healthz": server,
      "/readyz": server,
      // VARAN_PROMETHEUS: the screens of metrics against another server of this API, such as Prometheus itself.
      "/prometheus": process.env.VARAN_PROMETHEUS
        ? { target: process.env.VARAN_PROMETHEUS, rewrite: (path: string) => path.replace("/prometheus", "") }
        : server,
    },
  },
  test: {
    include: ["test/**/*.test.ts", "test/**/*.test.tsx"],
    environment: "node",
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
} as Parameters<typeof defineConfig>[0]);
