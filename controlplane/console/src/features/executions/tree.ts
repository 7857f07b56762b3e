/** Task runs as people think of them: containers, their iterations, their tasks. */
import type { TaskRun } from '@/shared/api/types'
import { groupState, isFinal, type StateName } from '@/shared/state/states'

export interface TreeNode {
  /** The task run's id, or its parent's id and the iteration. */
  key: string
  /** Null for an iteration, which groups task runs and is none itself. */
  taskRun: TaskRun | null
  label: string
  /** The value of the iteration this row stands for; shown beside the label. */
  value: string | null
  depth: number
  children: TreeNode[]
  state: StateName
  /** Milliseconds; `end` is null while something runs. */
  start: number
  end: number | null
}

/**
 * Builds the forest in the order the task runs were created. Linear in their number. `sizes` (container's task id → tasks in it)
 * lets iterations be grouped before their second task exists, so that rows do not change places while a loop runs.
 */
export function buildTree(taskRuns: readonly TaskRun[], sizes: ReadonlyMap<string, number> = new Map()): TreeNode[] {
  const ids = new Set<string>()
  for (const taskRun of taskRuns) ids.add(taskRun.id)
  const byParent = new Map<string, TaskRun[]>()
  for (const taskRun of taskRuns) {
    // A parent that is not in the list (a partial answer) must not hide its children.
    const parent = taskRun.parentTaskRunId && ids.has(taskRun.parentTaskRunId) ? taskRun.parentTaskRunId : ''
    const siblings = byParent.get(parent)
    if (siblings) siblings.push(taskRun)
    else byParent.set(parent, [taskRun])
  }
  return branch('', 0, null, null)

  function branch(parent: string, depth: number, inherited: string | null, parentTask: string | null): TreeNode[] {
    const siblings = byParent.get(parent)
    if (!siblings) return []
    const groups = new Map<string, TaskRun[]>()
    for (const taskRun of siblings) {
      const key = iterationKey(taskRun)
      const group = groups.get(key)
      if (group) group.push(taskRun)
      else groups.set(key, [taskRun])
    }
    const iterated = !(groups.size === 1 && groups.has('')) && [...groups.values()].some((group) => group[0]!.value !== inherited)
    const grouped = iterated && ((sizes.get(parentTask ?? '') ?? 0) > 1 || [...groups.values()].some((group) => group.length > 1))
    if (!grouped) return siblings.map((taskRun) => node(taskRun, depth, iterated ? (taskRun.value ?? null) : null))
    const nodes: TreeNode[] = []
    for (const [key, group] of groups) {
      if (key === '') for (const taskRun of group) nodes.push(node(taskRun, depth, null))
      else nodes.push(iteration(`${parent}:${key}`, group, depth))
    }
    return nodes
  }

  function node(taskRun: TaskRun, depth: number, value: string | null): TreeNode {
    const end = taskRun.state.endDate
    return {
      key: taskRun.id,
      taskRun,
      label: taskRun.taskId,
      value,
      depth,
      children: branch(taskRun.id, depth + 1, taskRun.value ?? null, taskRun.taskId),
      state: taskRun.state.current,
      start: Date.parse(taskRun.state.startDate),
      end: end ? Date.parse(end) : null,
    }
  }

  function iteration(key: string, group: TaskRun[], depth: number): TreeNode {
    const children = group.map((taskRun) => node(taskRun, depth + 1, null))
    const first = group[0]!
    const state = groupState(children.map((child) => child.state))
    return {
      key,
      taskRun: null,
      label: first.iteration === undefined ? '#' : `#${first.iteration + 1}`,
      value: first.value ?? null,
      depth,
      children,
      state,
      start: Math.min(...children.map((child) => child.start)),
      end: isFinal(state) ? Math.max(...children.map((child) => child.end ?? child.start)) : null,
    }
  }
}

function iterationKey(taskRun: TaskRun): string {
  if (taskRun.iteration !== undefined) return `#${taskRun.iteration}`
  return taskRun.value === undefined ? '' : `=${taskRun.value}`
}

/** The rows in view order, without what folded nodes hide. */
export function visibleRows(roots: readonly TreeNode[], folded: (node: TreeNode) => boolean): TreeNode[] {
  const rows: TreeNode[] = []
  const walk = (nodes: readonly TreeNode[]): void => {
    for (const node of nodes) {
      rows.push(node)
      if (node.children.length > 0 && !folded(node)) walk(node.children)
    }
  }
  walk(roots)
  return rows
}

/** How many task runs stand in each state. */
export function countStates(taskRuns: readonly TaskRun[]): Map<StateName, number> {
  const counts = new Map<StateName, number>()
  for (const taskRun of taskRuns) counts.set(taskRun.state.current, (counts.get(taskRun.state.current) ?? 0) + 1)
  return counts
}
