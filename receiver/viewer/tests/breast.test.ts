import { expect, test, vi } from "vitest";

vi.mock("../src/radiology/stack", () => ({}));
vi.mock("../src/radiology/pane", () => ({}));
vi.mock("../src/trouble", () => ({ persist: async () => undefined }));
const { inner, inOrder, wallOf } = await import("../src/radiology/breast");
const { firstLayout } = await import("../src/radiology/layout");

const picture = (side: string, view: string, rows = "P") => ({
  "00200062": { vr: "CS", Value: side ? [side] : [] },
  "00185101": { vr: "CS", Value: [view] },
  "00200020": { vr: "CS", Value: [rows, "FR"] },
});

test("right beside left, view by view, whatever the order in which they were stored", () => {
  const stored = [picture("L", "MLO"), picture("R", "CC"), picture("", "ML"), picture("L", "CC"), picture("R", "MLO")];
  const hung = stored.map((_, series) => ({ series, place: 0 }));
  const order = inOrder(hung, ({ series }) => stored[series] ?? null).map(({ series }) => series);
  expect(order).toEqual([1, 3, 4, 0, 2]);
});

test("pictures of which nothing is known keep their order and stand behind", () => {
  const hung = [0, 1, 2].map((series) => ({ series, place: 0 }));
  expect(inOrder(hung, ({ series }) => (series === 2 ? picture("R", "CC") : null)).map((one) => one.series)).toEqual([2, 0, 1]);
});

test("the chest wall lies where the rows begin or end, PS3.3 C.7.6.1.1.1", () => {
  expect(wallOf(picture("L", "CC", "A"))).toBe("left");
  expect(wallOf(picture("R", "CC", "P"))).toBe("right");
  expect(wallOf(picture("R", "MLO", "PL"))).toBe("right");
  expect(wallOf(picture("R", "MLO", "L"))).toBeNull();
  expect(wallOf({})).toBeNull();
  expect([0, 1, 2, 3].map(inner)).toEqual(["right", "left", "right", "left"]);
});

test("an upright screen begins with one radiograph, and R beside L of the breast", () => {
  const series = (modality: string) => Array.from({ length: 4 }, () => ({ modality }) as never);
  const slots = Array.from({ length: 4 }, () => [{ sop: "1", frame: 1, here: true, damaged: false }]);
  expect(firstLayout(series("CR"), slots)).toBe("1x2");
  expect(firstLayout(series("CR"), slots, true)).toBe("1x1");
  expect(firstLayout(series("MG"), slots)).toBe("2x2");
  expect(firstLayout(series("MG"), slots, true)).toBe("1x2");
});
