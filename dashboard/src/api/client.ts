// The REST side: typed GETs with the bearer token, and failures as one kind of error.
import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./schema";

export type Api = Client<paths>;

/** A request that did not work; `status` is 0 where no answer came at all. */
export class Failed extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** A client of the server at `base` (no trailing slash; empty for where the page came from). */
export function connect(base: string, token: string): Api {
  return createClient<paths>({
    baseUrl: base,
    headers: { authorization: `Bearer ${token}` },
  });
}

interface Reply<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a reply. Throws `Failed` with the server's own words where there are any. */
export async function body<T>(reply: Promise<Reply<T>>): Promise<T> {
  const { data, error, response } = await reply.catch((cause: unknown) => {
    throw new Failed(0, cause instanceof Error ? cause.message : String(cause));
  });
  if (response.ok && data !== undefined) return data;
  throw new Failed(response.status, detail(error) ?? `${response.status} ${response.statusText}`);
}

/** The body, or `fallback` where this token may not see it or this server has no such thing. */
export async function bodyOr<T>(reply: Promise<Reply<T>>, fallback: T): Promise<T> {
  try {
    return await body(reply);
  } catch (error) {
    if (error instanceof Failed && (error.status === 403 || error.status === 404)) return fallback;
    throw error;
  }
}

/** The server's own words in a problem it answered with. */
export function detail(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("detail" in error)) return undefined;
  return typeof error.detail === "string" ? error.detail : undefined;
}
