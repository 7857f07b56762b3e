/** The closed set of states, which of them are final, and the shape and word each is shown with. */
export const STATES = [
  'CREATED',
  'SUBMITTED',
  'QUEUED',
  'RUNNING',
  'PAUSED',
  'BREAKPOINT',
  'RETRYING',
  'RETRIED',
  'RESTARTED',
  'KILLING',
  'KILLED',
  'SUCCESS',
  'WARNING',
  'FAILED',
  'CANCELLED',
  'SKIPPED',
  'RESUBMITTED',
] as const

export type StateName = (typeof STATES)[number]

const FINAL: ReadonlySet<string> = new Set<StateName>([
  'SUCCESS',
  'WARNING',
  'FAILED',
  'KILLED',
  'CANCELLED',
  'SKIPPED',
  'RETRIED',
  'RESUBMITTED',
])

/** True when no further change follows by itself. */
export function isFinal(state: StateName): boolean {
  return FINAL.has(state)
}

const KILLABLE: ReadonlySet<string> = new Set<StateName>([
  'CREATED',
  'SUBMITTED',
  'QUEUED',
  'RUNNING',
  'PAUSED',
  'BREAKPOINT',
  'RESTARTED',
  'RETRYING',
])

/** True when a kill is offered (console specification, matrix 9.2). */
export function isKillable(state: StateName): boolean {
  return KILLABLE.has(state)
}

/** The word on a badge. */
export function stateWord(state: StateName): string {
  return state.charAt(0) + state.slice(1).toLowerCase()
}

/** Which of several states speaks for the whole group: what still runs first, then what went worst. */
const WEIGHT: Record<StateName, number> = {
  KILLING: 17,
  RUNNING: 16,
  RETRYING: 15,
  RESTARTED: 14,
  PAUSED: 13,
  BREAKPOINT: 12,
  SUBMITTED: 11,
  QUEUED: 10,
  CREATED: 9,
  FAILED: 8,
  KILLED: 7,
  CANCELLED: 6,
  WARNING: 5,
  RETRIED: 4,
  RESUBMITTED: 3,
  SUCCESS: 2,
  SKIPPED: 1,
}

export function groupState(states: Iterable<StateName>): StateName {
  let best: StateName = 'SKIPPED'
  for (const state of states) if (WEIGHT[state] > WEIGHT[best]) best = state
  return best
}
