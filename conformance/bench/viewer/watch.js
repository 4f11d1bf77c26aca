// Runs in a page that is measured: notes when a key went down and when a canvas showed what was
// waited for, at the frames of the page and with its own clock. It reads pixels, not the page's
// word, wherever another product is timed beside ours.
(() => {
  if (window.__bench) return;
  const [WIDTH, HEIGHT] = [96, 72];
  const small = new OffscreenCanvas(WIDTH, HEIGHT);
  const context = small.getContext("2d", { willReadFrequently: true });

  const share = (canvas, is) => {
    context.clearRect(0, 0, WIDTH, HEIGHT);
    context.drawImage(canvas, 0, 0, WIDTH, HEIGHT);
    const { data } = context.getImageData(0, 0, WIDTH, HEIGHT);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] && is(data, i)) count += 1;
    return count / (WIDTH * HEIGHT);
  };
  const grey = (data, i) => data[i] > 60 && Math.abs(data[i] - data[i + 1]) < 12;
  const tissue = (data, i) => data[i] - data[i + 1] > 25; // redder than it is green
  const large = (selector) =>
    [...document.querySelectorAll(selector)].filter((one) => one.width > 200 && one.height > 100);
  const SLIDE = ".openseadragon-canvas canvas";
  const PLANES = ".volume canvas";
  const view = () => window.__todoke?.view ?? null;
  const far = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

  // what is waited for: each answers whether the page shows it now
  const waits = {
    picture: (before) =>
      large("canvas").some((one) => !before.canvases.has(one) && share(one, grey) > 0.05),
    planes: () => {
      const three = [...document.querySelectorAll(PLANES)];
      return three.length === 3 && three.every((one) => share(one, grey) > 0.02);
    },
    slide: (before) =>
      large(SLIDE).some((one) => !before.slides.has(one) && share(one, tissue) > 0.01) &&
      view()?.settled === true,
    field: (before) =>
      view()?.settled === true && !view().missing && far(view().centre, before.centre) > 1,
  };

  let noted = null;
  // Begin to wait; the clock starts with the next key or press.
  const arm = (what) => {
    const mine = { began: 0, shown: 0 };
    noted = mine;
    const before = {
      canvases: new Set(document.querySelectorAll("canvas")), // a list may have pictures too
      slides: new Set(document.querySelectorAll(SLIDE)),
      centre: view()?.centre,
    };
    const down = (event) => {
      if (event.type === "keydown" && event.key === "Shift") return;
      mine.began ||= event.timeStamp;
    };
    addEventListener("keydown", down, { capture: true });
    addEventListener("pointerdown", down, { capture: true });
    const look = () => {
      if (noted === mine && !(mine.began && waits[what](before))) {
        requestAnimationFrame(look);
        return;
      }
      removeEventListener("keydown", down, { capture: true });
      removeEventListener("pointerdown", down, { capture: true });
      mine.shown = performance.now();
    };
    requestAnimationFrame(look);
  };

  const PIECE = 48; // pixels of the middle of a canvas by which two pictures are told apart
  const middle = (canvas) => {
    const [x, y] = [(canvas.width - PIECE) >> 1, (canvas.height - PIECE) >> 1];
    context.clearRect(0, 0, WIDTH, HEIGHT);
    context.drawImage(canvas, x, y, PIECE, PIECE, 0, 0, PIECE, PIECE);
    const words = new Uint32Array(context.getImageData(0, 0, PIECE, PIECE).data.buffer);
    let sum = 0;
    for (const word of words) sum = (Math.imul(sum, 31) + word) | 0;
    return sum;
  };

  // Count the pictures of a canvas that differ from the one before.
  let counting = null;
  const watch = (canvas, eachFrame = () => undefined) => {
    const mine = { pictures: 0, first: 0, last: 0 };
    counting = mine;
    let before = middle(canvas);
    const look = () => {
      if (counting !== mine) return;
      const now = middle(canvas);
      if (now !== before) {
        before = now;
        mine.last = performance.now();
        mine.first ||= mine.last;
        mine.pictures += 1;
      }
      eachFrame();
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
    return mine;
  };
  const rate = ({ pictures, first, last }) =>
    pictures > 1 && last > first ? (pictures - 1) / ((last - first) / 1e3) : 0;

  const picture = () =>
    large("canvas").sort((a, b) => b.width * b.height - a.width * a.height)[0] ?? null;

  // Turn the wheel by one step a frame over the picture; resolves to pictures a second. A step
  // comes before the callbacks of a frame, as the browser's own input does: one that came among
  // them would be drawn a frame later, and every other image never.
  const scroll = (seconds, by) =>
    new Promise((done) => {
      const canvas = picture();
      const box = canvas.getBoundingClientRect();
      const at = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
      const step = { deltaY: 100 * by, bubbles: true, cancelable: true, ...at };
      const turn = () => canvas.dispatchEvent(new WheelEvent("wheel", step));
      const counted = watch(canvas, () => void setTimeout(turn));
      setTimeout(() => {
        counting = null;
        done(rate(counted));
      }, 1e3 * seconds);
    });

  window.__bench = {
    arm,
    scroll,
    get noted() {
      return noted && { ...noted };
    },
    watchSlide: () => void watch(large(SLIDE)[0]),
    watched: () => {
      const counted = counting;
      counting = null;
      return rate(counted);
    },
  };
})();
