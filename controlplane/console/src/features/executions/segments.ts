/** The bar of a task run: one segment for each state it was in, in milliseconds. */
import type { StateInfo, TaskRun } from '@/shared/api/types'
import { isFinal, type StateName } from '@/shared/state/states'

export interface Segment {
  state: StateName
  start: number
  end: number
  /** Solid: user code was running. Otherwise something waited. */
  solid: boolean
}

/** Segments from a history; the last one of a running object reaches to `now`. */
export function historySegments(state: StateInfo, now: number): Segment[] {
  const changes = state.histories
  const segments: Segment[] = []
  for (let i = 0; i < changes.length; i++) {
    const change = changes[i]!
    if (isFinal(change.state)) continue
    const next = changes[i + 1]
    const start = Date.parse(change.date)
    const end = next ? Date.parse(next.date) : Math.max(now, start)
    // What ran and then failed is shown in the colour of how it ended: that is what one looks for in a chart.
    const outcome = next && isFinal(next.state) && isActive(change.state) ? next.state : change.state
    segments.push({ state: outcome, start, end, solid: isActive(change.state) })
  }
  return segments
}

/** A task run's segments; those of its attempts when it was tried more than once. */
export function taskRunSegments(taskRun: TaskRun, now: number): Segment[] {
  const segments = historySegments(taskRun.state, now)
  const attempts = taskRun.attempts ?? []
  if (attempts.length < 2) return segments
  const waiting = segments.filter((segment) => !segment.solid)
  return [...waiting, ...attempts.flatMap((attempt) => historySegments(attempt.state, now).filter((segment) => segment.solid))].sort(
    (a, b) => a.start - b.start,
  )
}

function isActive(state: StateName): boolean {
  return state === 'RUNNING' || state === 'KILLING' || state === 'RESTARTED'
}
