/** What a person reads instead of codes. */
import type { Execution, LightExecution, TaskRun } from '@/shared/api/types'
import { isFinal, type StateName } from '@/shared/state/states'
import { formatDuration } from '@/shared/time/format'
import { countStates } from './tree'

/** Why an execution exists. */
export function causeWords(execution: LightExecution): string {
  if (execution.trigger) return `${execution.trigger.type.split('.').at(-1)} ${execution.trigger.id}`
  if (execution.parentId) return 'by another execution'
  if (execution.originalId && execution.originalId !== execution.id) return 'replay'
  return 'by hand'
}

/** One line that says what happens now. */
export function sentence(execution: Execution): string {
  const runs = execution.taskRunList ?? []
  const state = execution.state.current
  const leaves = leavesOf(runs)
  if (!isFinal(state)) {
    if (state === 'KILLING') return 'Being killed: running tasks are told to stop.'
    if (state === 'PAUSED') return 'Paused.'
    const busy = leaves.filter((run) => run.state.current === 'RUNNING')
    const waiting = leaves.filter((run) => run.state.current === 'CREATED' || run.state.current === 'SUBMITTED')
    const retrying = leaves.filter((run) => run.state.current === 'RETRYING')
    if (busy.length > 0) return `Running ${names(busy)}${waiting.length > 0 ? `, ${waiting.length} waiting for a worker` : ''}.`
    if (retrying.length > 0) return `Waiting to try ${names(retrying)} again.`
    if (waiting.length > 0) return `Waiting for a worker: ${names(waiting)}.`
    if (state === 'QUEUED') return 'Waiting for a place under the concurrency limit.'
    return runs.length === 0 ? 'Starting.' : 'Deciding what comes next.'
  }
  const took = execution.state.endDate ? formatDuration(Date.parse(execution.state.endDate) - Date.parse(execution.state.startDate)) : ''
  const failed = firstFailure(runs)
  switch (state) {
    case 'FAILED':
      return failed ? `Failed in ${failed.taskId} after ${took}.` : `Failed after ${took}.`
    case 'KILLED':
      return `Killed after ${took}.`
    default: {
      const count = leaves.length
      return `${count} task run${count === 1 ? '' : 's'} in ${took}${skippedWords(runs)}.`
    }
  }
}

function skippedWords(runs: readonly TaskRun[]): string {
  const skipped = countStates(runs).get('SKIPPED') ?? 0
  return skipped > 0 ? `, ${skipped} skipped` : ''
}

function leavesOf(runs: readonly TaskRun[]): TaskRun[] {
  const parents = new Set(runs.map((run) => run.parentTaskRunId))
  return runs.filter((run) => !parents.has(run.id))
}

function names(runs: readonly TaskRun[]): string {
  const shown = [...new Set(runs.map((run) => (run.value === undefined ? run.taskId : `${run.taskId} (${run.value.length > 24 ? `${run.value.slice(0, 24)}…` : run.value})`)))]
  return shown.length <= 3 ? shown.join(', ') : `${shown.slice(0, 2).join(', ')} and ${shown.length - 2} more`
}

/** The innermost task run that failed first: where to look. */
export function firstFailure(runs: readonly TaskRun[]): TaskRun | null {
  const isFailed = (state: StateName): boolean => state === 'FAILED'
  let best: TaskRun | null = null
  for (const run of leavesOf(runs)) {
    if (isFailed(run.state.current) && (!best || (run.state.endDate ?? '') < (best.state.endDate ?? ''))) best = run
  }
  return best ?? runs.find((run) => isFailed(run.state.current)) ?? null
}

/** The message of the last attempt that failed, where one was recorded. */
export function failureMessage(run: TaskRun): string | null {
  for (const attempt of [...(run.attempts ?? [])].reverse()) if (attempt.error?.message) return attempt.error.message
  return null
}
