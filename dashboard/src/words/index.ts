// The page's texts in the reader's language, as far as there is one.
import { en } from "./en";

export type Words = typeof en;

const LANGUAGES: Record<string, Words> = { en };

const wanted = typeof navigator === "undefined" ? [] : navigator.languages;
const language = wanted.map((tag) => tag.split("-")[0] ?? "").find((tag) => tag in LANGUAGES) ?? "en";

export const words: Words = LANGUAGES[language] ?? en;

/** A job's or attempt's state in words; one this page does not know stays as it is. */
export function stateWord(state: string): string {
  return words.state[state] ?? state;
}
