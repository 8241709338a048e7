import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// `npm run mock` prints the address that `npm run dev` proxies to; a real server works as well.
const server = process.env.PORTOLAN_SERVER ?? "http://127.0.0.1:7070";

export default defineConfig({
  // Relative, for the page may be served below any path.
  base: "./",
  plugins: [svelte()],
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { "/v1": server } },
  // Svelte's server build has no reactivity; the tests want the browser's.
  resolve: process.env.VITEST ? { conditions: ["browser"] } : {},
  test: { include: ["tests/**/*.test.ts"], environment: "node", testTimeout: 20_000 },
});
