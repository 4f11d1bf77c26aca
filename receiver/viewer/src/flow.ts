/** How fast bytes come: counted over the time in which an answer is on its way, and no other. */

/** Time on the way over which the rate is taken: it follows a line within seconds. */
const OVER_MS = 4_000;
/** Less says nothing: a small answer comes at once, however slow the line is. */
const LEAST_MS = 1_000;
const OLD_MS = 15_000;
const BUCKET_MS = 250;

interface Bucket {
  readonly from: number;
  busy: number;
  bytes: number;
}

/** One answer on its way. */
export interface Flow {
  bytes(count: number): void;
  end(): void;
}

export class Rate {
  private buckets: Bucket[] = [];
  private open = 0;
  private at = 0;

  constructor(private readonly now: () => number) {}

  /** An answer begins to arrive. */
  flow(): Flow {
    this.bucket();
    this.open += 1;
    let over = false;
    return {
      bytes: (count) => void this.bucket(count),
      end: () => {
        if (over) return;
        over = true;
        this.bucket();
        this.open -= 1;
      },
    };
  }

  /** Bits a second of late; null where too little has come to say. */
  get bits(): number | null {
    const now = this.bucket().from;
    let [busy, bytes] = [0, 0];
    for (const one of [...this.buckets].reverse()) {
      if (busy >= OVER_MS || now - one.from > OLD_MS) break;
      busy += one.busy;
      bytes += one.bytes;
    }
    return busy < LEAST_MS || bytes === 0 ? null : (8000 * bytes) / busy;
  }

  /** The present bucket; the time until now is counted where something was on its way, and what came in it. */
  private bucket(came = 0): Bucket {
    const now = this.now();
    let last = this.buckets.at(-1);
    if (last && this.open > 0) last.busy += now - this.at;
    if (last) last.bytes += came;
    this.at = now;
    if (!last || now - last.from >= BUCKET_MS) {
      last = { from: now, busy: 0, bytes: 0 };
      this.buckets = [...this.buckets.filter((one) => now - one.from <= OLD_MS), last];
    }
    return last;
  }
}

/** The body of an answer, its bytes counted as they come. */
export async function bodyOf(response: Response, flow: Flow): Promise<ArrayBuffer> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  try {
    const reader = response.body?.getReader();
    for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
      flow.bytes(read.value.length);
      parts.push(read.value);
    }
  } finally {
    flow.end();
  }
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole.buffer;
}
