import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// vtk.js has an XML reader that draws in xmlbuilder2 and, with it, Node's `events` and `url`.
// Nothing here reads XML; without this alias the page dies while it loads.
const nothing = fileURLToPath(new URL("./src/nothing.ts", import.meta.url));

export default defineConfig({
  base: "/",
  resolve: { alias: { xmlbuilder2: nothing } },
  worker: { format: "es" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // a data: address would break the content security policy
    sourcemap: false,
    chunkSizeWarningLimit: 4000,
  },
});
