/** OpenSeadragon as this page uses it. */

import OpenSeadragon from "openseadragon";
import { GROUND } from "./hatch";
import { LEAST_RATIO } from "./pyramid";
import type { SlideSource } from "./tile_source";

/** Of the largest view that is usual (2560 x 1440), with those of the level below. */
const TILES = 96;

/** What its handlers are given, which its types do not say. */
export interface Dragged {
  readonly originalEvent: PointerEvent;
  readonly delta: OpenSeadragon.Point;
  readonly position: OpenSeadragon.Point;
  preventDefaultAction: boolean;
}

export interface Scrolled {
  readonly originalEvent: WheelEvent;
  readonly scroll: number;
  preventDefaultAction: boolean;
  preventDefault: boolean;
}

export interface TileMatrix {
  tilesMatrix: Record<number, Record<number, Record<number, OpenSeadragon.Tile>>>;
}

/** The tiles that an image has met so far, of every level. */
export function* tilesOf(image: OpenSeadragon.TiledImage): Generator<OpenSeadragon.Tile> {
  for (const columns of Object.values((image as unknown as TileMatrix).tilesMatrix)) {
    for (const column of Object.values(columns)) yield* Object.values(column);
  }
}

/**
 * OpenSeadragon writes a style element into the page unless it finds its own there; the content
 * security policy would refuse it. An element of that name in no one's namespace stands in.
 */
export function forbidStyle(): void {
  const mark = "data-openseadragon-mobile-css";
  if (document.querySelector(`style[${mark}]`)) return;
  const standIn = document.createElementNS("urn:todoke:nothing", "style");
  standIn.setAttribute(mark, "");
  document.head.append(standIn);
}

/** Tiles given up or not there are dealt with here: the library need not complain of them. */
(OpenSeadragon as unknown as { console: unknown }).console = Object.create(console, {
  error: { value: () => undefined },
  warn: { value: () => undefined },
});

/** What this page asks of it: no control of its own, no inertia, no blending of levels. */
export function settings(area: HTMLElement, overview: HTMLElement, source: SlideSource): OpenSeadragon.Options {
  const chosen = {
    element: area,
    tileSources: source as unknown as OpenSeadragon.TileSource,
    drawer: "canvas",
    prefixUrl: "",
    showNavigationControl: false,
    showNavigator: true,
    navigatorRotate: false, // what was viewed and what is missing lie over it unturned
    navigatorElement: overview,
    navigatorBackground: GROUND,
    navigatorOpacity: 1,
    placeholderFillStyle: GROUND,
    animationTime: 0.01,
    blendTime: 0,
    immediateRender: false,
    minPixelRatio: LEAST_RATIO,
    maxZoomPixelRatio: 16,
    minZoomImageRatio: 0.1,
    visibilityRatio: 0.1,
    zoomPerScroll: Math.SQRT2,
    imageLoaderLimit: TILES, // all of a view are asked for together: see together.ts
    maxTilesPerFrame: TILES, // the library begins one a picture: those of a screen took a second
    maxImageCacheCount: 500,
    preserveImageSizeOnResize: true,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false, flickEnabled: false },
    gestureSettingsTouch: { flickEnabled: false },
  };
  return chosen as unknown as OpenSeadragon.Options;
}

/** The library looks at its tiles again only when told: setting the (absent) clip tells it. */
export function lookAgain(image: OpenSeadragon.TiledImage): void {
  image.setClip(null as unknown as OpenSeadragon.Rect);
  image.update(true); // at once, so that "all loaded" is not said of the tiles before
}
