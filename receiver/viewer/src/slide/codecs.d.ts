/** The WebAssembly codecs as they are used here: one frame in, its samples out. */

interface FrameInfo {
  readonly width: number;
  readonly height: number;
  readonly bitsPerSample: number;
  readonly componentCount: number;
  readonly isSigned: boolean;
}

interface FrameDecoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getFrameInfo(): FrameInfo;
  getDecodedBuffer(): Uint8Array;
  delete(): void;
}

interface Factory<Module> {
  (options: { locateFile: (file: string) => string; print: () => void; printErr: () => void }): Promise<Module>;
}

declare module "@cornerstonejs/codec-openjpeg/decodewasmjs" {
  const make: Factory<{ J2KDecoder: new () => FrameDecoder }>;
  export default make;
}

declare module "@cornerstonejs/codec-openjph/wasmjs" {
  const make: Factory<{ HTJ2KDecoder: new () => FrameDecoder }>;
  export default make;
}

declare module "@cornerstonejs/codec-charls/decodewasmjs" {
  const make: Factory<{
    JpegLSDecoder: new () => FrameDecoder & { getInterleaveMode(): number };
  }>;
  export default make;
}
