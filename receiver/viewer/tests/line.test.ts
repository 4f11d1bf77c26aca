import { describe, expect, it } from "vitest";
import { Line, RECOVERED, SLOW } from "../src/line";

const STEP = 100; // ms

/** A line under a clock of the test. */
class Shaped {
  at = 1000;
  readonly line = new Line(() => this.at);

  /** Let time go by with so many bits a second on their way; the last thing that was said. */
  run(seconds: number, bits: number | null): number | null {
    let said: number | null = null;
    for (let i = 0; i < (seconds * 1000) / STEP; i += 1) {
      const flow = bits === null ? null : this.line.flow();
      this.at += STEP;
      flow?.bytes((bits ?? 0) / 8 / (1000 / STEP));
      flow?.end();
      said = this.line.look();
    }
    return said;
  }
}

describe("a slow line", () => {
  it("is said once a reader has waited for three seconds, with its rate", () => {
    const { line, ...shaped } = withLine();
    line.waitFor("a");
    expect(shaped.run(2.9, 2.1e6)).toBeNull();
    expect(shaped.run(0.3, 2.1e6)).toBeCloseTo(2.1e6, -4);
  });

  it("is not said while nobody waits, nor of one that is fast, nor while nothing comes", () => {
    expect(withLine().run(10, 1e6)).toBeNull();
    const fast = withLine();
    fast.line.waitFor("a");
    expect(fast.run(20, SLOW * 1.1)).toBeNull();
    const silent = withLine();
    silent.line.waitFor("a");
    expect(silent.run(60, null)).toBeNull(); // the receiver thinks: that is said in other words
  });

  it("is said soon after a burst", () => {
    const { line, ...shaped } = withLine();
    shaped.run(0.5, 1e8);
    shaped.run(1, null);
    line.waitFor("a");
    expect(shaped.run(3.2, 1e6)).toBeCloseTo(1e6, -4);
  });

  it("counts the time on the way alone", () => {
    const { line, ...shaped } = withLine();
    line.waitFor("a");
    for (let i = 0; i < 10; i += 1) {
      shaped.run(0.5, 4e6);
      shaped.run(0.5, null);
    }
    expect(shaped.run(0.2, 4e6)).toBeCloseTo(4e6, -4);
  });

  it("counts answers that come side by side as one line", () => {
    const shaped = withLine();
    shaped.line.waitFor("a");
    const flows = [1, 2, 3].map(() => shaped.line.flow());
    let said: number | null = null;
    for (let i = 0; i < 60; i += 1) {
      shaped.wait(100);
      for (const flow of flows) flow.bytes(10_000);
      said = shaped.line.look();
    }
    expect(said).toBeCloseTo(2.4e6, -5);
  });

  it("is said on above the bound, and no more once it has recovered", () => {
    const { line, ...shaped } = withLine();
    line.waitFor("a");
    expect(shaped.run(5, SLOW * 0.9)).not.toBeNull();
    expect(shaped.run(8, (SLOW + RECOVERED) / 2)).not.toBeNull();
    expect(shaped.run(8, RECOVERED * 1.2)).toBeNull();
    expect(shaped.run(8, (SLOW + RECOVERED) / 2)).toBeNull();
  });

  it("is nobody's trouble some seconds after the last wait", () => {
    const { line, ...shaped } = withLine();
    const over = line.waitFor("a");
    expect(shaped.run(5, 2e6)).not.toBeNull();
    over();
    expect(shaped.run(5, 2e6)).not.toBeNull();
    expect(shaped.run(6, 2e6)).toBeNull();
  });
});

describe("what a reader waits for", () => {
  it("goes before all else: the rest waits until the line is free", () => {
    const { line } = withLine();
    const told: string[] = [];
    line.onFree(() => told.push("free"));
    const [a, b] = [line.waitFor("a"), line.waitFor("b")];
    line.whenFree(() => told.push("once"));
    a();
    a();
    expect(told).toEqual([]);
    b();
    expect(told).toEqual(["once", "free"]);
    line.whenFree(() => told.push("now"));
    expect(told).toEqual(["once", "free", "now"]);
  });

  it("makes give way what is on its way, after a second, but for itself", () => {
    const { line, ...shaped } = withLine();
    const told: string[][] = [];
    const end = line.onLong((visible) => told.push([...visible]));
    line.waitFor("a");
    shaped.run(1, null);
    expect(told).toEqual([]);
    shaped.run(0.1, null);
    expect(told).toEqual([["a"]]);
    end();
    shaped.run(1, null);
    expect(told).toHaveLength(1);
  });
});

function withLine(): { line: Line; run: Shaped["run"]; wait(ms: number): void } {
  const shaped = new Shaped();
  return { line: shaped.line, run: (seconds, bits) => shaped.run(seconds, bits), wait: (ms) => void (shaped.at += ms) };
}
