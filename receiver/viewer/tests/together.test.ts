import { afterEach, describe, expect, it, vi } from "vitest";
import { grouped, Together, type Wanted } from "../src/slide/together";

const address = (sop: string, frame: number): string => `/${sop}/frames/${frame + 1}`;
const never = new AbortController().signal;

/** Answers each frame with its number; `refused` alone or with others by 404. */
function serve(refused: number | null = null): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (url: string) => {
    asked.push(url);
    const numbers = url.split("/").at(-1)!.split(",").map(Number);
    if (refused !== null && numbers.includes(refused)) return new Response("{}", { status: 404 });
    if (numbers.length === 1) return new Response(`frame ${numbers[0]}`);
    const parts = numbers.map((number) => `--b\r\nContent-Type: image/jpeg\r\n\r\nframe ${number}\r\n`);
    return new Response(`${parts.join("")}--b--\r\n`, { headers: { "Content-Type": 'multipart/related; boundary="b"' } });
  });
  return asked;
}

const texts = (answers: readonly Promise<Response>[]): Promise<string[]> =>
  Promise.all(answers.map((one) => one.then((body) => body.text(), (error: unknown) => String(error))));

describe("frames asked for in one task", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("go out together, each answer to who asked for it", async () => {
    const asked = serve();
    const together = new Together(address);
    const answers = [7, 3, 5].map((number) => together.fetch("a", number, "image/jpeg", never));
    answers.push(together.fetch("b", 1, "image/jpeg", never));
    expect(await texts(answers)).toEqual(["frame 8", "frame 4", "frame 6", "frame 2"]);
    expect(asked).toEqual(["/a/frames/8,4,6", "/b/frames/2"]);
  });

  it("are asked for one by one where one of them is refused", async () => {
    serve(4);
    const together = new Together(address);
    const answers = [7, 3, 5].map((number) => together.fetch("a", number, "image/jpeg", never));
    expect(await texts(answers)).toEqual(["frame 8", "Error: HTTP 404", "frame 6"]);
  });

  it("come in groups of about one size", () => {
    const some = Array.from({ length: 35 }, (_, number) => ({ sop: "a", number }) as Wanted);
    const groups = grouped(some);
    expect(groups.map((group) => group.length)).toEqual([12, 12, 11]);
    expect(groups.flat()).toEqual(some);
  });
});
