import { describe, expect, it } from 'vitest'
import type { TaskRun } from '@/shared/api/types'
import { changeWords, formatBytes, insightsOf, loadInstant } from './insight'

function withOutputs(outputs: Record<string, unknown>): TaskRun {
  return { id: 'r', executionId: 'e', namespace: 'n', flowId: 'f', taskId: 't', attempts: [], outputs, state: { current: 'SUCCESS', histories: [], startDate: '2026-01-05T10:00:00Z' } }
}

describe('what a task says about its load', () => {
  it('is found in the outputs of the dlt task and of a script', () => {
    const insight = { pipelineName: 'chess', loadIds: ['1767607200.5'] }
    expect(insightsOf([withOutputs(insight), withOutputs({ dlt: insight }), withOutputs({ other: 1 })]).map((found) => found.insight)).toEqual([insight, insight])
  })

  it('is said in words', () => {
    expect(changeWords({ change: 'new_table', table: 'games' })).toBe('new table games')
    expect(changeWords({ change: 'new_column', table: 'games', column: 'eco', dataType: 'text' })).toBe('new column games.eco')
    expect(formatBytes(999)).toBe('999 B')
    expect(formatBytes(1_234_567)).toBe('1.23 MB')
    expect(loadInstant('1767607200.5')).toBe(1_767_607_200_500)
    expect(loadInstant('abc')).toBeNull()
  })
})
