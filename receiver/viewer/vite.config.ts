import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// vtk.js has an XML reader that draws in xmlbuilder2 and, with it, Node's `events` and `url`.
// Nothing here reads XML; without this alias the page dies while it loads.
const nothing = fileURLToPath(new URL("./src/nothing.ts", import.meta.url));

// What pdf.js fetches while it draws: character maps (a Japanese PDF may embed no font), the
// standard fonts, decoders. Their folder carries the version, as nothing else tells them apart.
// The interpreter for scripts of a PDF (quickjs) stays out, and what is for browsers without
// WebAssembly, on which nothing here runs.
const pdfjs = fileURLToPath(new URL("./node_modules/pdfjs-dist", import.meta.url));
const wanted = (from: string): boolean => !/quickjs|nowasm/i.test(from);
const pdfData = {
  name: "pdf-data",
  writeBundle({ dir }: { dir?: string }): void {
    const { version } = JSON.parse(readFileSync(join(pdfjs, "package.json"), "utf8"));
    for (const part of ["cmaps", "standard_fonts", "wasm", "iccs"]) {
      const to = join(dir ?? "", "assets", `pdfjs-${version}`, part);
      cpSync(join(pdfjs, part), to, { recursive: true, filter: wanted });
    }
  },
};

export default defineConfig({
  base: "/",
  plugins: [pdfData],
  resolve: { alias: { xmlbuilder2: nothing } },
  worker: { format: "es" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // a data: address would break the content security policy
    sourcemap: false,
    chunkSizeWarningLimit: 4000,
  },
});
