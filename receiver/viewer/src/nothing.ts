/** Stands in for a package that is drawn in but never used (see vite.config.ts). */
export function create(): never {
  throw new Error("XML is not read here");
}
export default {};
