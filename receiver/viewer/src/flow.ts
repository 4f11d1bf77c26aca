/** How fast bytes come: counted over the time in which an answer is on its way, and no other. */

/**
 * Time on the way over which the rate is taken. Less than a wait after which it is told: what came
 * in a burst before that would lift the mean of all that came since.
 */
const OVER_MS = 2_000;
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
    this.count();
    this.open += 1;
    let over = false;
    return {
      bytes: (count) => this.count(count),
      end: () => {
        if (over) return;
        over = true;
        this.count();
        this.open -= 1;
      },
    };
  }

  /** Bits a second of late; null where too little has come to say. */
  get bits(): number | null {
    this.count();
    let [busy, bytes] = [0, 0];
    for (const one of [...this.buckets].reverse()) {
      if (busy >= OVER_MS || this.at - one.from > OLD_MS) break;
      busy += one.busy;
      bytes += one.bytes;
    }
    return busy < LEAST_MS || bytes === 0 ? null : (8000 * bytes) / busy;
  }

  /** Count the time until now where something was on its way, and what came in it. */
  private count(came = 0): void {
    const now = this.now();
    let last = this.buckets.at(-1);
    // what comes at one time goes into one bucket, with the time that it took
    if (!last || (now > this.at && this.at - last.from >= BUCKET_MS)) {
      last = { from: last ? this.at : now, busy: 0, bytes: 0 };
      this.buckets = [...this.buckets.filter((one) => now - one.from <= OLD_MS), last];
    }
    if (this.open > 0) last.busy += now - this.at;
    last.bytes += came;
    this.at = now;
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
