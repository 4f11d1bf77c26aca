/** Test patterns, drawn a device pixel at a time: 8-bit driving levels as the display gets them. */

export const STEPS = ["pattern", "contrast", "lines", "steps", "uniformity"] as const;
export type Step = (typeof STEPS)[number];

type Fill = (level: number, x: number, y: number, width: number, height: number) => void;

/** Draw a pattern over a canvas whose size is in device pixels. */
export function draw(canvas: HTMLCanvasElement, step: Step): void {
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) return;
  const fill: Fill = (level, x, y, width, height) => {
    context.fillStyle = `rgb(${level} ${level} ${level})`;
    context.fillRect(Math.round(x), Math.round(y), Math.round(width), Math.round(height));
  };
  fill(26, 0, 0, canvas.width, canvas.height); // 10 % of the levels
  PATTERNS[step](fill, canvas.width, canvas.height);
}

const PATTERNS: Readonly<Record<Step, (fill: Fill, width: number, height: number) => void>> = {
  pattern(fill, width, height) {
    frame(fill, 255, 0, 0, width, height, 1);
    frame(fill, 255, 10, 10, width - 20, height - 20, 1);
    const size = Math.floor(Math.min(width, height) / 6);
    const [left, top] = [Math.floor((width - 4 * size) / 2), Math.floor((height - 4 * size) / 2)];
    for (let n = 0; n < 16; n += 1) {
      const [x, y] = [left + (n % 4) * size, top + Math.floor(n / 4) * size];
      fill(n * 17, x, y, size, size);
    }
  },
  contrast(fill, width, height) {
    const size = Math.floor(Math.min(width, height) / 2.5);
    const top = Math.floor((height - size) / 2);
    const inner = Math.floor(size / 3);
    for (const [ground, small, x] of [[0, 13, width / 2 - size], [255, 242, width / 2]] as const) {
      fill(ground, x, top, size, size);
      fill(small, x + inner, top + inner, inner, inner);
    }
  },
  lines(fill, width, height) {
    const size = Math.floor(Math.min(width, height) / 2.5);
    const top = Math.floor((height - size) / 2);
    const middle = Math.floor(width / 2);
    for (let n = 0; n < size; n += 1) {
      fill(n % 2 ? 0 : 255, middle - size + n, top, 1, size);
      fill(n % 2 ? 0 : 255, middle, top + n, size, 1);
    }
  },
  steps(fill, width, height) {
    const [left, each] = [Math.floor(width * 0.05), Math.floor((width * 0.9) / 18)];
    for (let n = 0; n < 18; n += 1) fill(n * 15, left + n * each, height * 0.25, each, height * 0.5);
  },
  uniformity(fill, width, height) {
    fill(204, 0, 0, width, height); // 80 % of the levels
  },
};

function frame(fill: Fill, level: number, x: number, y: number, width: number, height: number, thick: number): void {
  fill(level, x, y, width, thick);
  fill(level, x, y + height - thick, width, thick);
  fill(level, x, y, thick, height);
  fill(level, x + width - thick, y, thick, height);
}
