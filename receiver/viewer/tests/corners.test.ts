import { describe, expect, it } from "vitest";
import { how, what, type Rendered } from "../src/radiology/corners";
import type { DataSet } from "../src/radiology/dataset";
import type { Row } from "../src/types";

const row = { institution: { code: "0", name: "北見病院" }, description: "" } as Row;
const rendered = { onProcessor: false } as Rendered;
const said = (lines: readonly { readonly text: string }[]): string[] => lines.map((line) => line.text);

describe("corners", () => {
  it("say the procedure by its code and meaning, as it was sent", () => {
    const code = { "00080100": { vr: "SH", Value: ["700000000000001"] }, "00080104": { vr: "LO", Value: ["胸部単純"] } };
    const data = { "00081032": { vr: "SQ", Value: [code] } } as unknown as DataSet;
    expect(said(what(data, row))).toContain("700000000000001 胸部単純");
    expect(said(what({} as DataSet, row)).join("")).not.toContain("undefined");
  });

  it("say how a mammogram and an ultrasound were made", () => {
    const data = {
      "00185101": { vr: "CS", Value: ["MLO"] },
      "001811A0": { vr: "DS", Value: ["45"] },
      "00185022": { vr: "DS", Value: ["0.8"] },
      "00181411": { vr: "DS", Value: ["512"] },
    } as unknown as DataSet;
    expect(said(how(data, rendered))).toEqual(expect.arrayContaining(["MLO", "45 mm", "MI 0.8", "EI 512"]));
  });
});
