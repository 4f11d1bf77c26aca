/** Requests for frames while they are on their way: counted, and given up for what is in view. */

import type { Flow } from "../flow";
import { line } from "../line";
import { uriOf } from "./pixels";

interface Flight {
  readonly uri: string;
  readonly xhr: XMLHttpRequest;
  flow: Flow | null;
  seen: number;
}

/** By the object that the library hands from one call to the next. */
const flights = new Map<object, Flight>();
/** Addresses for which nobody waits. */
const spare = new Set<string>();

/** Nobody waits for this image: its request gives way to another's that takes long. */
export const isSpare = (id: string): void => void spare.add(uriOf(id));
export const isWaitedFor = (id: string): void => void spare.delete(uriOf(id));

line.onLong((visible) => {
  for (const { uri, xhr } of [...flights.values()]) if (spare.has(uri) && !visible.has(uri)) xhr.abort();
});

/** What the image library calls on the way of a request. */
export const hooks = {
  async beforeSend(xhr: XMLHttpRequest, id: string, _: unknown, way: object): Promise<void> {
    flights.set(way, { uri: uriOf(id), xhr, flow: null, seen: 0 });
  },
  onreadystatechange(_: Event, way: object): void {
    const flight = flights.get(way);
    if (flight?.xhr.readyState === XMLHttpRequest.HEADERS_RECEIVED) flight.flow = line.flow();
  },
  onprogress({ loaded }: ProgressEvent, way: object): void {
    const flight = flights.get(way);
    flight?.flow?.bytes(loaded - flight.seen);
    if (flight) flight.seen = loaded;
  },
  onloadend(event: ProgressEvent, way: object): void {
    const flight = flights.get(way);
    if (event.loaded > (flight?.seen ?? 0)) hooks.onprogress(event, way);
    flight?.flow?.end();
    flights.delete(way);
    if (flight) spare.delete(flight.uri);
  },
};
