/**
 * Folds a full execution as the stream sends it into the one on screen. Task runs that did not change keep their
 * identity, so that only what changed is drawn again.
 */
import type { Execution, TaskRun } from '@/shared/api/types'

export function mergeExecution(shown: Execution | null, sent: Execution): Execution {
  const list = sent.taskRunList
  const before = shown?.taskRunList
  if (!shown || shown.id !== sent.id || !list || !before) return sent
  const known = new Map(before.map((taskRun) => [taskRun.id, taskRun]))
  return {
    ...sent,
    taskRunList: list.map((taskRun) => {
      const old = known.get(taskRun.id)
      return old && sameTaskRun(old, taskRun) ? old : taskRun
    }),
  }
}

/** Histories and attempts only ever grow, so their lengths tell whether anything happened. */
export function sameTaskRun(a: TaskRun, b: TaskRun): boolean {
  return (
    a.state.current === b.state.current &&
    a.state.histories.length === b.state.histories.length &&
    (a.attempts?.length ?? 0) === (b.attempts?.length ?? 0) &&
    (a.attempts?.at(-1)?.state.histories.length ?? 0) === (b.attempts?.at(-1)?.state.histories.length ?? 0) &&
    !a.outputs === !b.outputs &&
    !a.progress === !b.progress &&
    (!a.progress || JSON.stringify(a.progress) === JSON.stringify(b.progress))
  )
}
