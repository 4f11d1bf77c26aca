/** The text in the four corners, from the data set of the very image that was drawn. */

import { isDoubtful } from "../jpeg";
import { dashed, clock, forms, sexWord, years } from "../names";
import type { Row } from "../types";
import { inLanguage, say, type Word } from "../words";
import { isLossy, items, number, numbers, personName, text, type DataSet } from "./dataset";
import { slicePosition } from "./geometry";
import { hasBadTable, hasUnknownFunction, type Shape } from "./grey";
import { planesOf, type PlanesState } from "./planes";
import { hasOtherShutter, openings } from "./shutter";
import { spacingOf } from "./spacing";
import { petUnit, uptakeOf } from "./suv";

export interface Line {
  readonly text: string;
  readonly role?: string;
  readonly look?: "name" | "side" | "inverse";
}

/** What the renderer holds at the moment of drawing. */
export interface Rendered {
  readonly place: number;
  readonly expected: number | null;
  readonly window: { readonly width: number; readonly center: number } | null;
  readonly windowName: Word;
  /** Zoom in device pixels per image pixel. */
  readonly scale: number;
  readonly inverted: boolean;
  readonly flipped: boolean;
  readonly onProcessor: boolean;
  readonly key?: boolean;
  /** Shutters have been taken off. */
  readonly uncovered?: boolean;
  /** How its overlay planes stand. */
  readonly planes?: PlanesState;
  /** The image goes to grey by no line. */
  readonly shape?: Shape | null;
}

/** Top left, who: the image's own patient, never the list's. */
export function who(data: DataSet, row: Row): Line[] {
  const name = personName(data, "00100010");
  const birth = dashed(text(data, "00100030")) || null;
  const patient = { ...row.patient, ...name };
  const shown = forms(patient);
  const age = years(text(data, "00101010") || null, birth, text(data, "00080020") || row.study_date);
  const issuer = text(data, "00100021") || row.institution.name || row.institution.code;
  const facts = [
    say(sexWord(text(data, "00100040") || null)),
    birth ?? "",
    age === null ? "" : say("age.years", { n: age }),
  ];
  return [
    { text: shown.main || say("mark.noname"), role: "image-name", look: "name" },
    { text: shown.second },
    { text: shown.third },
    { text: facts.filter(Boolean).join("  ") },
    { text: `ID ${text(data, "00100020")}@${issuer}`, role: "image-patient-id" },
  ];
}

/** Top right, what. */
export function what(data: DataSet, row: Row): Line[] {
  const side = text(data, "00200062") || text(data, "00200060");
  const series = text(data, "00200011");
  return [
    { text: row.institution.name || text(data, "00080080") },
    { text: `${dashed(text(data, "00080020"))} ${clock(text(data, "00080030"))}` },
    { text: text(data, "00081030") || row.description || "" },
    { text: procedure(data) },
    { text: `${text(data, "00080060")} ${text(data, "00180015")} ${side}`, look: "side" },
    { text: `S${series} ${text(data, "0008103E")}` },
  ];
}

/** The procedure by its code and what that means (JJ1017 in Japan), as it was sent. */
function procedure(data: DataSet): string {
  const [code] = items(data, "00081032");
  return code ? `${text(code, "00080100")} ${text(code, "00080104")}`.trim() : "";
}

/** Bottom left, this image: its place, position, window as rendered, zoom in device pixels. */
export function image(data: DataSet, rendered: Rendered): Line[] {
  const position = slicePosition(numbers(data, "00200032"), numbers(data, "00200037"));
  const percent = rendered.scale * 100;
  const lines: Line[] = [
    { text: `${rendered.place + 1}/${rendered.expected ?? "?"}`, role: "image-number" },
  ];
  if (position !== null) lines.push({ text: `${position.toFixed(1)} mm`, role: "position" });
  if (rendered.window) {
    const { width, center } = rendered.window;
    const sigmoid = rendered.shape?.kind === "sigmoid" ? " SIGMOID" : "";
    const figures = `W ${round(width)} L ${round(center)}${sigmoid}`;
    lines.push({ text: `${figures}  ${say(rendered.windowName)}`, role: "window" });
  }
  if (rendered.shape?.kind === "lut") {
    lines.push({ text: `VOI LUT ${rendered.shape.lut.name}`.trim(), role: "window" });
  }
  lines.push(...planes(data, rendered));
  if (hasBadTable(data) || hasUnknownFunction(data)) {
    lines.push({ text: say("grey.other"), role: "grey", look: "inverse" });
  }
  lines.push({ text: `${percent.toFixed(percent < 10 ? 1 : 0)} %`, role: "zoom" });
  // a picture that is drawn smaller than it is has details that nobody sees (VIEWING 9.4)
  if (percent > 0 && percent < 99.95) lines.push({ text: say("img.down", { p: Math.floor(percent) || "<1" }), role: "down" });
  if (rendered.key) lines.push({ text: say("key.on"), role: "key-image", look: "inverse" });
  if (rendered.inverted) lines.push({ text: say("img.inverted"), look: "inverse" });
  if (rendered.flipped) lines.push({ text: say("img.flipped"), look: "inverse" });
  return lines;
}

/** What covers the picture, and what should lie over it and does not. */
function planes(data: DataSet, { uncovered, planes: state = "none" }: Rendered): Line[] {
  const lines: Line[] = [];
  if (openings(data).length > 0) {
    lines.push(uncovered ? { text: say("shutter.off"), role: "planes", look: "inverse" } : { text: say("shutter.on"), role: "planes" });
  }
  if (hasOtherShutter(data)) lines.push({ text: say("shutter.other"), role: "planes", look: "inverse" });
  if (state === "on") lines.push({ text: say("overlay.on"), role: "planes" });
  else if (state !== "none") lines.push({ text: say(`overlay.${state}`), role: "planes", look: "inverse" });
  if (planesOf(data, 1).embedded > 0) lines.push({ text: say("overlay.embedded"), role: "planes", look: "inverse" });
  return lines;
}

const round = (figure: number): string =>
  String(Math.abs(figure) < 20 ? Math.round(figure * 10) / 10 : Math.round(figure));

const UNIT: readonly (readonly [tag: string, before: string, after: string])[] = [
  ["00180060", "", " kV"],
  ["00181152", "", " mAs"],
  ["00181210", "", ""],
  ["00180080", "TR ", ""],
  ["00180081", "TE ", ""],
  ["00180082", "TI ", ""],
  ["00180087", "", " T"],
  ["00180010", "", ""],
  ["00180050", "", " mm"],
  ["00185101", "", ""], // view position of CR, DX, MG
  ["00181411", "EI ", ""],
  ["00181413", "DI ", ""],
  ["001811A0", "", " mm"], // of the compressed breast
  ["001811A2", "", " N"], // with which it is compressed
  ["001811A4", "", ""], // paddle
  ["00185010", "", ""], // transducer
  ["00185050", "", " mm"], // depth
  ["00185022", "MI ", ""],
  ["00185027", "TIS ", ""],
  ["00185024", "TIB ", ""],
  ["00185026", "TIC ", ""],
  ["00180040", "", " fps"],
];

/** Bottom right, how it was made, and what has been done to it. */
export function how(data: DataSet, rendered: Rendered): Line[] {
  const lines: Line[] = UNIT.flatMap(([tag, before, after]) => {
    const read = number(data, tag);
    const value = read === null ? text(data, tag) : String(Math.round(read * 100) / 100);
    return value === "" ? [] : [{ text: `${before}${value}${after}` }];
  });
  lines.push(...tracer(data));
  const { unit, detector } = spacingOf(data);
  if (unit === "px" && data["00186011"] === undefined) {
    lines.push({ text: say("img.nospacing"), role: "spacing", look: "inverse" });
  }
  if (detector) lines.push({ text: say("meas.detector"), role: "spacing" });
  if (rendered.onProcessor) lines.push({ text: say("gpu.none") });
  if (isDoubtful(text(data, "00080018"))) lines.push({ text: say("colour.maybe"), role: "colours", look: "inverse" });
  lines.push(quality(data));
  return lines;
}

/** Tracer and dose of nuclear medicine and PET; why there is no SUV. */
function tracer(data: DataSet): Line[] {
  const [given] = items(data, "00540016");
  const dose = given ? number(given, "00181074") : null;
  const isotope = given ? items(given, "00540300")[0] : undefined;
  const name = given ? text(given, "00180031") || (isotope ? text(isotope, "00080104") : "") : "";
  const lines: Line[] = [];
  if (name) lines.push({ text: name });
  // Bq in PET, MBq in nuclear medicine (PS3.3 C.8.9.2, C.8.4.10)
  const mega = text(data, "00080060") === "PT" ? 1e-6 : 1;
  if (dose !== null && dose > 0) lines.push({ text: `${round(dose * mega)} MBq ${clock(given ? text(given, "00181072") : "")}`.trim() });
  const uptake = uptakeOf(data);
  if (uptake && "lacking" in uptake) {
    const why = say(`suv.${uptake.lacking}`);
    lines.push({ text: say("suv.no", { w: why, u: petUnit(data) || "?" }), role: "suv", look: "inverse" });
  } else if (uptake) lines.push({ text: "SUVbw", role: "suv" });
  return lines;
}

export function quality(data: DataSet): Line {
  if (!isLossy(data)) return { text: say("img.lossless"), role: "quality" };
  const ratio = number(data, "00282112");
  const figure = ratio === null ? "" : `${ratio.toLocaleString(inLanguage())}:1`;
  return { text: say("img.lossy", { r: figure }).trim(), role: "quality", look: "inverse" };
}
