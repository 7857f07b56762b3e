import { describe, expect, it } from 'vitest'
import type { TaskRun } from '@/shared/api/types'
import type { StateName } from '@/shared/state/states'
import { mergeExecution } from './merge'
import { historySegments } from './segments'
import { buildTree, countStates, visibleRows, type TreeNode } from './tree'

const T0 = Date.parse('2026-01-05T10:00:00Z')

function taskRun(id: string, taskId: string, more: Partial<TaskRun> = {}, states: StateName[] = ['CREATED', 'RUNNING', 'SUCCESS']): TaskRun {
  const histories = states.map((state, i) => ({ state, date: new Date(T0 + i * 1_000).toISOString() }))
  const last = histories.at(-1)!
  const ended = last.state === 'SUCCESS' || last.state === 'FAILED'
  return { id, taskId, executionId: 'e', namespace: 'n', flowId: 'f', attempts: [], state: { current: last.state, histories, startDate: histories[0]!.date, ...(ended ? { endDate: last.date } : {}) }, ...more }
}

function outline(nodes: readonly TreeNode[]): string[] {
  return visibleRows(nodes, () => false).map((node) => `${'  '.repeat(node.depth)}${node.label}${node.value === null ? '' : `=${node.value}`}`)
}

describe('tree of task runs', () => {
  it('puts children under their parent in order of creation', () => {
    expect(outline(buildTree([taskRun('1', 'seq'), taskRun('2', 'a', { parentTaskRunId: '1' }), taskRun('3', 'b', { parentTaskRunId: '1' }), taskRun('4', 'end')]))).toEqual([
      'seq',
      '  a',
      '  b',
      'end',
    ])
  })

  it('groups the tasks of each iteration when there are several', () => {
    const runs = [taskRun('p', 'each')]
    for (const [i, value] of ['x', 'y'].entries()) {
      runs.push(taskRun(`${i}a`, 'load', { parentTaskRunId: 'p', value, iteration: i }))
      runs.push(taskRun(`${i}b`, 'check', { parentTaskRunId: 'p', value, iteration: i }))
    }
    expect(outline(buildTree(runs))).toEqual(['each', '  #1=x', '    load', '    check', '  #2=y', '    load', '    check'])
  })

  it('shows the value beside the task when an iteration has only one', () => {
    const runs = [taskRun('p', 'each'), taskRun('1', 'load', { parentTaskRunId: 'p', value: 'x', iteration: 0 }), taskRun('2', 'load', { parentTaskRunId: 'p', value: 'y', iteration: 1 })]
    expect(outline(buildTree(runs))).toEqual(['each', '  load=x', '  load=y'])
  })

  it('groups an iteration before its second task exists when the flow says that there will be one', () => {
    const runs = [taskRun('p', 'each'), taskRun('1', 'load', { parentTaskRunId: 'p', value: 'x', iteration: 0 })]
    expect(outline(buildTree(runs, new Map([['each', 2]])))).toEqual(['each', '  #1=x', '    load'])
  })

  it('does not repeat the value on what stands inside an iteration', () => {
    const runs = [
      taskRun('p', 'each'),
      taskRun('1', 'inner', { parentTaskRunId: 'p', value: 'x', iteration: 0 }),
      taskRun('2', 'deep', { parentTaskRunId: '1', value: 'x', iteration: 0 }),
    ]
    expect(outline(buildTree(runs))).toEqual(['each', '  inner=x', '    deep'])
  })

  it('a child without its parent is still shown', () => {
    expect(outline(buildTree([taskRun('2', 'lost', { parentTaskRunId: 'gone' })]))).toEqual(['lost'])
  })

  it('an iteration is running while one of its tasks runs, and failed when one failed', () => {
    const runs = [
      taskRun('p', 'each', {}, ['CREATED', 'RUNNING']),
      taskRun('1', 'a', { parentTaskRunId: 'p', value: 'x' }, ['CREATED', 'RUNNING', 'FAILED']),
      taskRun('2', 'b', { parentTaskRunId: 'p', value: 'x' }, ['CREATED', 'RUNNING']),
      taskRun('3', 'a', { parentTaskRunId: 'p', value: 'y' }, ['CREATED', 'RUNNING', 'FAILED']),
      taskRun('4', 'b', { parentTaskRunId: 'p', value: 'y' }),
    ]
    expect(buildTree(runs)[0]!.children.map((node) => [node.state, node.end === null])).toEqual([
      ['RUNNING', true],
      ['FAILED', false],
    ])
    expect(countStates(runs).get('FAILED')).toBe(2)
  })

  it('of 20,000 task runs is built within half a second', () => {
    const runs = [taskRun('p', 'each')]
    for (let i = 0; i < 10_000; i++) for (const task of ['a', 'b']) runs.push(taskRun(`${i}${task}`, task, { parentTaskRunId: 'p', value: String(i), iteration: i }))
    const begin = performance.now()
    const rows = visibleRows(buildTree(runs), () => false)
    expect(rows.length).toBe(30_001)
    expect(performance.now() - begin).toBeLessThan(500)
  })
})

describe('bars', () => {
  it('have one segment for each state, the last one reaching to now', () => {
    const running = taskRun('1', 'a', {}, ['CREATED', 'SUBMITTED', 'RUNNING'])
    expect(historySegments(running.state, T0 + 9_000)).toEqual([
      { state: 'CREATED', start: T0, end: T0 + 1_000, solid: false },
      { state: 'SUBMITTED', start: T0 + 1_000, end: T0 + 2_000, solid: false },
      { state: 'RUNNING', start: T0 + 2_000, end: T0 + 9_000, solid: true },
    ])
  })

  it('end in the colour of the outcome', () => {
    const failed = taskRun('1', 'a', {}, ['CREATED', 'RUNNING', 'FAILED'])
    expect(historySegments(failed.state, T0 + 9_000).at(-1)).toEqual({ state: 'FAILED', start: T0 + 1_000, end: T0 + 2_000, solid: true })
  })
})

describe('a frame of the stream', () => {
  it('replaces what changed and keeps the rest as it is', () => {
    const execution = {
      id: 'e',
      tenantId: 't',
      namespace: 'n',
      flowId: 'f',
      flowRevision: 1,
      labels: [],
      originalId: 'e',
      deleted: false,
      metadata: { attemptNumber: 1, originalCreatedDate: '2026-01-05T10:00:00Z' },
      state: taskRun('', '').state,
    }
    const before = mergeExecution(null, { ...execution, taskRunList: [taskRun('1', 'a'), taskRun('2', 'b', {}, ['CREATED'])] })
    const after = mergeExecution(before, { ...execution, taskRunList: [taskRun('1', 'a'), taskRun('2', 'b'), taskRun('3', 'c')] })
    expect(after.taskRunList![0]).toBe(before.taskRunList![0])
    expect(after.taskRunList![1]).not.toBe(before.taskRunList![1])
    expect(after.taskRunList!.length).toBe(3)
  })
})
