/** A slide's frames as OpenSeadragon wants its tiles: one GET of one frame each. */

import OpenSeadragon from "openseadragon";
import { isCurrent, type ReadingContext } from "../context";
import { request, Refused } from "../api";
import { arrived, line } from "../line";
import { Undecodable } from "./colour";
import type { Coverage } from "./coverage";
import { accepts, decode } from "./decoding";
import type { SlideLevel } from "../types";
import type { Lut } from "./lut";
import type { Frame, Pyramid } from "./pyramid";
import { Together } from "./together";

/** What the tile source asks of the view around it. */
export interface Frames {
  readonly context: ReadingContext;
  readonly pyramid: Pyramid;
  coverage(): Coverage;
  address(sop: string, frame: number): string;
  /** What the scanner's colours are here; null where, or as long as, they are as scanned. */
  colours(): Lut | null;
  /** The bytes of a frame that have been given with others, once; null where they were not. */
  brought(address: string): Uint8Array<ArrayBuffer> | null;
  /** A frame that is here cannot be shown: it is not what came, or nothing decodes it. */
  refused(sop: string, frame: number, why: "damaged" | "undecodable"): void;
}

interface Job extends OpenSeadragon.ImageJob {
  src: string;
  tile: OpenSeadragon.Tile;
  userData: { gone?: AbortController };
  finish(data: unknown, request: unknown, type: string): void;
  fail(message: string, request: unknown): void;
}

/** What is said of a tile that was given up since the view had left it. */
export const LEFT = "left";

export class SlideSource extends OpenSeadragon.TileSource {
  /** Tiles on their way. */
  private readonly jobs = new Set<Job>();
  private readonly together = new Together((sop, frame) => this.frames.address(sop, frame));

  constructor(private readonly frames: Frames) {
    const { columns, rows, levels } = frames.pyramid;
    super({
      width: columns,
      height: rows,
      tileSize: 256,
      tileOverlap: 0,
      minLevel: 0,
      maxLevel: levels.length - 1,
    } as unknown as OpenSeadragon.TileSourceOptions);
  }

  override getLevelScale(level: number): number {
    return 1 / this.frames.pyramid.at(level).downsample;
  }

  override getTileWidth(level: number): number {
    return this.frames.pyramid.at(level).of.tile_columns;
  }

  override getTileHeight(level: number): number {
    return this.frames.pyramid.at(level).of.tile_rows;
  }

  override getNumTiles(level: number): OpenSeadragon.Point {
    const { across, down } = this.frames.pyramid.at(level);
    return new OpenSeadragon.Point(across, down);
  }

  override getTileAtPoint(level: number, point: OpenSeadragon.Point): OpenSeadragon.Tile {
    const { of, downsample, across, down } = this.frames.pyramid.at(level);
    const pixels = this.frames.pyramid.columns / downsample;
    const within = (n: number, count: number): number => Math.min(count - 1, Math.max(0, Math.floor(n)));
    return new OpenSeadragon.Point(
      within((point.x * pixels) / of.tile_columns, across),
      within((point.y * pixels) / of.tile_rows, down),
    ) as unknown as OpenSeadragon.Tile; // the library's types say Tile, its code means a point
  }

  override getTileBounds(level: number, x: number, y: number, isSource?: boolean): OpenSeadragon.Rect {
    const { pyramid } = this.frames;
    const box = isSource ? pyramid.picture(level, x, y) : pyramid.place(level, x, y);
    const unit = isSource ? 1 : pyramid.columns;
    return new OpenSeadragon.Rect(box.x / unit, box.y / unit, box.width / unit, box.height / unit);
  }

  override tileExists(level: number, x: number, y: number): boolean {
    const { pyramid } = this.frames;
    return this.frames.coverage().holds(pyramid.frame(level, x, y));
  }

  override getTileUrl(level: number, x: number, y: number): string {
    const { pyramid } = this.frames;
    const frame = pyramid.frame(level, x, y);
    return frame ? this.frames.address(frame.sop, frame.number) : "";
  }

  override getTileHashKey(level: number, x: number, y: number): string {
    return this.getTileUrl(level, x, y);
  }

  override hasTransparency(): boolean {
    return false;
  }

  override downloadTileStart(context: OpenSeadragon.ImageJob): void {
    const job = context as Job;
    const gone = new AbortController();
    job.userData.gone = gone;
    this.jobs.add(job);
    const served = line.waitFor(job.src);
    const over = (): void => {
      this.jobs.delete(job);
      served();
    };
    const signal = AbortSignal.any([gone.signal, this.frames.context.signal]);
    const { level, x, y } = job.tile;
    const { pyramid } = this.frames;
    const { of } = pyramid.at(level);
    const frame = pyramid.frame(level, x, y);
    this.bytes(of, frame, job.src, signal).then((body) => decode(of, body, this.frames.colours())).then(
      (bitmap) => {
        over();
        if (isCurrent(this.frames.context)) job.finish(bitmap, null, "imageBitmap");
        else job.fail("late", null);
      },
      (error: unknown) => {
        over();
        if (gone.signal.aborted) return job.fail(LEFT, null);
        const why = wrong(error);
        if (why && frame && isCurrent(this.frames.context)) this.frames.refused(frame.sop, frame.number, why);
        job.fail(error instanceof Refused ? `HTTP ${error.status}` : String(error), null);
      },
    );
  }

  private async bytes(of: SlideLevel, frame: Frame | null, address: string, signal: AbortSignal): Promise<Response> {
    const here = this.frames.brought(address);
    if (here) return new Response(here);
    // a level that the receiver makes has an address for each of its frames alone
    if (!frame || of.derived) {
      return new Response(await arrived(await request(address, { headers: { Accept: accepts(of) }, signal })));
    }
    return this.together.fetch(frame.sop, frame.number, accepts(of), signal);
  }

  /** Give up what is on its way and no longer wanted. */
  leave(wanted: (tile: OpenSeadragon.Tile) => boolean): void {
    for (const { tile, userData } of [...this.jobs]) if (!wanted(tile)) userData.gone?.abort();
  }

  override downloadTileAbort(context: OpenSeadragon.ImageJob): void {
    (context as Job).userData.gone?.abort();
  }
}

const DAMAGED = "E-4103";

/** What is wrong with a frame for good; null where it may come the next time. */
function wrong(error: unknown): "damaged" | "undecodable" | null {
  if (error instanceof Undecodable) return "undecodable";
  return error instanceof Refused && error.number === DAMAGED ? "damaged" : null;
}
