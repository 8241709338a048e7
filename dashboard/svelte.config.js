import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export default {
  preprocess: vitePreprocess(),
  // Short class names: they stand in the scripts hundreds of times.
  compilerOptions: { cssHash: ({ hash, css }) => `p${hash(css).slice(0, 4)}` },
};
