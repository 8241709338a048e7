// The end of what an attempt printed, read piece by piece as it grows.
import { type Api, Failed, detail } from "../api/client";

export type Stream = "stdout" | "stderr";

const PIECE = 1 << 20;
/** A log longer than this many pieces behind catches up over several looks. */
const PIECES_AT_ONCE = 4;
const KEPT = 32 * 1024;

export class Output {
  /** Its last 32 Ki characters, from the start of a line. */
  text = "";
  /** Whether what came before them was dropped. */
  cut = false;
  /** Whether nothing will follow. */
  complete = false;
  #offset = 0;

  constructor(
    readonly api: Api,
    readonly job: string,
    readonly attempt: number,
    readonly stream: Stream,
  ) {}

  /** Reads what is new. Throws `Failed` when the center does not answer. */
  async read() {
    for (let piece = 0; piece < PIECES_AT_ONCE && !this.complete; piece += 1) {
      const query = { stream: this.stream, attempt: String(this.attempt), offset: this.#offset, max: PIECE };
      const params = { path: { job: this.job }, query };
      const reply = await this.api.GET("/v1/jobs/{job}/logs", { params, parseAs: "text" }).catch((cause: unknown) => {
        throw new Failed(0, String(cause));
      });
      // Nothing has run yet.
      if (reply.response.status === 409) return;
      if (reply.data === undefined) {
        throw new Failed(reply.response.status, detail(reply.error) ?? reply.response.statusText);
      }
      const next = Number(reply.response.headers.get("portolan-next-offset"));
      this.complete = reply.response.headers.get("portolan-log-complete") === "true";
      this.#take(reply.data);
      if (!(next > this.#offset)) return;
      this.#offset = next;
    }
  }

  #take(piece: string) {
    this.text += piece;
    if (this.text.length <= KEPT) return;
    const from = this.text.length - KEPT;
    const line = this.text.indexOf("\n", from);
    this.text = this.text.slice(line < 0 ? from : line + 1);
    this.cut = true;
  }
}
