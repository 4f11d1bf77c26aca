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

// The image library decodes JPEG Extended with the level shift of 8 bits stretched to 12: every
// value comes out 15 or 16 too high (so many HU), and the highest are cut off. ISO/IEC 10918-1
// A.3.1 has 2048 for 12 bits. Of progressive ones it refines negative coefficients away from
// their sign (G.1.2.3). Whoever updates the library finds this build stopped, not undone.
const SHIFTED = `        q =
            q <= -2056 / component.bitConversion
                ? 0
                : q >= 2024 / component.bitConversion
                    ? 255 / component.bitConversion
                    : (q + 2056 / component.bitConversion) >> 4;
`;
const MENDED = "const top = 255 / component.bitConversion;\nq = Math.min(top, Math.max(0, (q + 8 * (top + 1) + 8) >> 4));\n";
const REFINED = "component.blockData[offset + z] += readBit() << successive;";
const SIGNED = "component.blockData[offset + z] += (readBit() << successive) * Math.sign(component.blockData[offset + z]);";
const jpegDecoder = {
  name: "jpeg-decoder",
  transform(code: string, id: string): string | undefined {
    if (!/dicom-image-loader\/dist\/esm\/codecs\/jpeg\.js/.test(id)) return undefined;
    const [shifts, refinements] = [SHIFTED, REFINED].map((part) => code.split(part).length - 1);
    if (shifts !== 1 || refinements !== 3) throw new Error(`${id} is another decoder now: see what it makes of 12 bits`);
    return code.replace(SHIFTED, MENDED).replaceAll(REFINED, SIGNED);
  },
};

export default defineConfig({
  base: "/",
  plugins: [pdfData, jpegDecoder],
  resolve: { alias: { xmlbuilder2: nothing } },
  worker: { format: "es", plugins: () => [jpegDecoder] },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // a data: address would break the content security policy
    sourcemap: false,
    chunkSizeWarningLimit: 4000,
  },
});
