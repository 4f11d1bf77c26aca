/** Frames of JPEG on their way to the browser's decoder: their colours are told to it. */

import dicomImageLoader from "@cornerstonejs/dicom-image-loader";
import { told } from "../jpeg";
import { text, type DataSet } from "./dataset";

const BASELINE = "1.2.840.10008.1.2.4.50";
/** An answer of the receiver as the library is to have it. */
export async function beforeDecoding(xhr: XMLHttpRequest): Promise<ArrayBuffer> {
  const body = xhr.response as ArrayBuffer;
  const data = dicomImageLoader.wadors.metaDataManager.get(`wadors:${xhr.responseURL}`) as DataSet | undefined;
  if (!data || text(data, "00083002") !== BASELINE) return body;
  const answer = new Uint8Array(body);
  const at = frameIn(answer);
  if (at === null) return body;
  const bytes = told(answer.subarray(at), text(data, "00280004"), text(data, "00080018"));
  if (bytes.buffer === body) return body;
  const made = new Uint8Array(at + bytes.length);
  made.set(answer.subarray(0, at));
  made.set(bytes, at);
  return made.buffer;
}

/** Where the frame begins: behind the head of its part (RFC 2046 5.1), or at once. */
function frameIn(answer: Uint8Array): number | null {
  if (answer[0] === 0xff) return 0;
  for (let at = 0; at + 4 < answer.length; at += 1) {
    if (answer[at] === 13 && answer[at + 1] === 10 && answer[at + 2] === 13 && answer[at + 3] === 10) return at + 4;
  }
  return null;
}
