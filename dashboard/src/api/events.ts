// The event stream. Read with fetch rather than EventSource, so that the token travels in a header
// and never in an address, and so that kinds of facts this page does not know still arrive.
import { Failed } from "./client";

/** A fact, as far as this page needs it. */
export interface FactEvent {
  number: number;
  kind: string;
  at_ms: number;
  subjects: string[];
}

/** One message of an event stream. */
export interface Message {
  id: string;
  event: string;
  data: string;
}

/** Cuts an event stream into messages, whatever pieces the text comes in. */
export class Cutter {
  #rest = "";

  /** Takes the next piece and returns the messages that are complete with it. */
  push(text: string): Message[] {
    // A lone CR at the end may be half of a CRLF: it waits for the next piece.
    const blocks = (this.#rest + text).replace(/\r\n|\r(?!$)/g, "\n").split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(message).filter((m) => m.data !== "");
  }
}

function message(block: string): Message {
  const fields: Message = { id: "", event: "message", data: "" };
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") data.push(value);
    else if (name === "id") fields.id = value;
    else if (name === "event") fields.event = value;
  }
  return { ...fields, data: data.join("\n") };
}

/** What a reader of the stream is told. */
export interface Listener {
  /** The stream is open; facts from now on will come. */
  opened(response: Response): void;
  fact(fact: FactEvent): void;
}

/** A stream on which nothing came for so long, not even a keep-alive, is taken for dead. */
const SILENCE_MS = 60_000;

/**
 * Reads facts after number `after` (from now on, where none is given) until the stream ends.
 * Throws `Failed` when the server will not have it or the connection breaks.
 */
export async function readEvents(
  base: string,
  token: string,
  after: number | undefined,
  listener: Listener,
  signal: AbortSignal,
): Promise<void> {
  const silence = new AbortController();
  let watch: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(watch);
    watch = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  heard();
  try {
    const query = after === undefined ? "" : `?after=${after}`;
    const response = await fetch(`${base}/v1/events${query}`, {
      headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
      cache: "no-store",
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (!response.ok || !response.body) {
      throw new Failed(response.status, `${response.status} ${response.statusText}`);
    }
    listener.opened(response);
    await pump(response.body, listener, heard);
  } catch (error) {
    if (signal.aborted || error instanceof Failed) throw error;
    throw new Failed(0, error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(watch);
  }
}

async function pump(body: ReadableStream<Uint8Array>, listener: Listener, heard: () => void) {
  const cutter = new Cutter();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    for (const { data } of cutter.push(decoder.decode(value, { stream: true }))) {
      const fact = parse(data);
      if (fact) listener.fact(fact);
    }
  }
}

function parse(data: string): FactEvent | undefined {
  try {
    const fact: Partial<FactEvent> = JSON.parse(data);
    const { number, kind = "", at_ms = 0, subjects = [] } = fact;
    return typeof number === "number" ? { number, kind, at_ms, subjects } : undefined;
  } catch {
    return undefined;
  }
}
