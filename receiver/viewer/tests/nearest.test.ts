import { describe, expect, it } from "vitest";
import { Nearest, type Run, type Store } from "../src/radiology/nearest";

/** Images of `size` bytes each; loads are ended by the test. */
class Cache implements Store {
  readonly held = new Map<string, number>();
  readonly loads: string[] = [];
  readonly dropped: string[] = [];
  readonly coming = new Map<string, { done: () => void; failed: () => void }>();

  constructor(
    readonly budget: number,
    private readonly size = 10,
  ) {}

  bytes = (): number => [...this.held.values()].reduce((sum, one) => sum + one, 0);

  drop(id: string): void {
    this.dropped.push(id);
    this.held.delete(id);
  }

  load(id: string): Promise<void> {
    this.loads.push(id);
    return new Promise((done, failed) => {
      this.coming.set(id, {
        done: () => (this.held.set(id, this.size), done()),
        failed: () => failed(new Error(id)),
      });
    });
  }

  /** Let loads end, and those that begin then, until none is on its way. */
  async settle(how: "done" | "failed" = "done"): Promise<void> {
    while (this.coming.size > 0) {
      for (const [id, one] of [...this.coming]) {
        this.coming.delete(id);
        one[how]();
      }
      await new Promise((done) => setTimeout(done));
    }
  }
}

interface Movable extends Run {
  place: number;
  weight: number;
}

function series(cache: Cache, name: string, count: number, place: number, weight = 1): Movable {
  return {
    count,
    place,
    weight,
    here: () => true,
    id: (at) => `${name}${at}`,
    placeOf: (id) => (id.startsWith(name) ? Number(id.slice(name.length)) : null),
    fetch: (at) => cache.load(`${name}${at}`),
    failed: () => undefined,
  };
}

const places = (cache: Cache, name: string): number[] =>
  [...cache.held.keys()].filter((id) => id.startsWith(name)).map((id) => Number(id.slice(name.length))).sort((a, b) => a - b);

describe("images fetched ahead", () => {
  it("are all of a series that fits, and nothing is said", async () => {
    const cache = new Cache(1000);
    let full = 0;
    const nearest = new Nearest(cache, () => true, () => (full += 1));
    nearest.add(series(cache, "a", 20, 10));
    await cache.settle();
    expect(cache.loads).toHaveLength(20);
    expect(cache.dropped).toEqual([]);
    expect(full).toBe(0);
  });

  it("stop where no more can be held, those nearest to the reader being there", async () => {
    const cache = new Cache(95);
    let full = 0;
    const nearest = new Nearest(cache, () => true, () => (full += 1));
    cache.held.set("a50", 10);
    nearest.add(series(cache, "a", 100, 50));
    await cache.settle();
    expect(places(cache, "a")).toEqual([0, 47, 48, 49, 50, 51, 52, 53, 99]);
    expect(cache.loads).toHaveLength(8);
    expect(cache.dropped).toEqual([]);
    expect(full).toBeGreaterThan(0);
    nearest.go();
    expect(cache.loads).toHaveLength(8); // it has come to rest
  });

  it("follow a reader who moves: one comes, the farthest goes", async () => {
    const cache = new Cache(95);
    const nearest = new Nearest(cache, () => true, () => undefined);
    const run = series(cache, "a", 100, 50);
    cache.held.set("a50", 10);
    nearest.add(run);
    await cache.settle();
    cache.loads.length = 0;
    run.place = 51;
    nearest.go();
    await cache.settle();
    expect(cache.loads).toEqual(["a54"]);
    expect(cache.dropped).toEqual(["a47"]);
    run.place = 80;
    nearest.go();
    await cache.settle();
    expect(places(cache, "a")).toEqual([0, 77, 78, 79, 80, 81, 82, 83, 99]);
    expect(cache.bytes()).toBeLessThanOrEqual(cache.budget);
  });

  it("are of the pane in hand before those of a prior, which keeps its own nearest", async () => {
    const cache = new Cache(200);
    const nearest = new Nearest(cache, () => true, () => undefined);
    const [main, prior] = [series(cache, "a", 100, 50), series(cache, "b", 100, 50, 4)];
    cache.held.set("b50", 10);
    nearest.add(prior);
    await cache.settle();
    expect(places(cache, "b").length).toBe(20);
    nearest.add(main);
    await cache.settle();
    expect(places(cache, "a").length).toBe(16);
    expect(places(cache, "b")).toEqual([49, 50, 51, 52]);
    expect(cache.bytes()).toBe(200);
  });

  it("of what no pane shows go first, and what is in view never goes", () => {
    const cache = new Cache(20);
    const nearest = new Nearest(cache, () => false, () => undefined);
    nearest.add(series(cache, "a", 9, 4));
    for (const id of ["z0", "z1", "a4", "a0", "a5"]) cache.held.set(id, 10);
    nearest.trim();
    expect(cache.dropped).toEqual(["z0", "z1", "a0"]);
    cache.held.set("a4", 30);
    nearest.trim();
    expect([...cache.held.keys()]).toEqual(["a4"]);
  });

  it("wait while something in view is waited for, and come again where they gave way", async () => {
    const cache = new Cache(1000);
    let may = true;
    const nearest = new Nearest(cache, () => may, () => undefined);
    nearest.add(series(cache, "a", 6, 0));
    expect(cache.loads).toEqual(["a0", "a1", "a2", "a3"]);
    may = false;
    await cache.settle("failed");
    expect(cache.loads).toHaveLength(4);
    may = true;
    nearest.go();
    await cache.settle();
    expect(places(cache, "a")).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("that failed are left to the reader, until the series is begun anew", async () => {
    const cache = new Cache(1000);
    const nearest = new Nearest(cache, () => true, () => undefined);
    const run = series(cache, "a", 3, 0);
    nearest.add(run);
    await cache.settle("failed");
    run.place = 1;
    nearest.go();
    expect(cache.loads).toHaveLength(3);
    nearest.add(run);
    await cache.settle();
    expect(places(cache, "a")).toEqual([0, 1, 2]);
  });
});
