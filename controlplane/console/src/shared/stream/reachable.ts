/** One shared question to the server, "are you there?", for all streams of a page. */
const ANSWER_WITHIN_MS = 1_500
const VALID_FOR_MS = 1_000

let asked: { at: number; answer: Promise<boolean> } | null = null

/** True when the server answers anything at all in time. */
export function probe(): Promise<boolean> {
  const now = Date.now()
  if (asked && now - asked.at < VALID_FOR_MS) return asked.answer
  const answer = fetch('/ping', { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }).then(
    (response) => response.status < 500,
    () => false,
  )
  asked = { at: now, answer }
  return answer
}
