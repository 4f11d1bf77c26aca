/** The parts of a multipart/related body (RFC 2046, section 5.1). */

const HEAD_ENDS = [13, 10, 13, 10];

/** Cut a body into its parts, copies of its bytes; none where it is not whole. */
export function partsOf(contentType: string, body: ArrayBuffer): Uint8Array<ArrayBuffer>[] {
  const boundary = /boundary="?([^";]+)/i.exec(contentType)?.[1];
  if (!boundary) return [];
  const bytes = new Uint8Array(body);
  const line = [...`\r\n--${boundary}`].map((letter) => letter.charCodeAt(0));
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let at = startsWith(bytes, line.slice(2), 0) ? line.length - 2 : after(bytes, line, 0);
  while (at >= 0 && !startsWith(bytes, [45, 45], at)) {
    const begin = after(bytes, HEAD_ENDS, at);
    const next = begin < 0 ? -1 : after(bytes, line, begin);
    if (next < 0) return []; // broken off
    parts.push(bytes.slice(begin, next - line.length)); // a Blob of each would go through the browser's own process
    at = next;
  }
  return at < 0 ? [] : parts;
}

function startsWith(bytes: Uint8Array, some: readonly number[], at: number): boolean {
  return some.every((byte, place) => bytes[at + place] === byte);
}

/** The place behind the next occurrence, -1 without one. */
function after(bytes: Uint8Array, some: readonly number[], from: number): number {
  for (let at = bytes.indexOf(some[0]!, from); at >= 0; at = bytes.indexOf(some[0]!, at + 1)) {
    if (startsWith(bytes, some, at)) return at + some.length;
  }
  return -1;
}
