import { describe, expect, it } from 'vitest'
import type { LogEntry } from '@/shared/api/types'
import { LogStore } from './lines'
import { findLines, RowIndex } from './rows'

function entry(taskRunId: string, at: number, message: string, attemptNumber = 0): LogEntry {
  return { namespace: 'n', flowId: 'f', taskRunId, taskId: `task-${taskRunId}`, attemptNumber, timestamp: new Date(at).toISOString(), level: 'INFO', message }
}

function texts(store: LogStore): string[] {
  return store.lines.map((line) => line.text)
}

describe('log lines', () => {
  it('repeated after a reconnect are taken once, and none is missing', () => {
    const all = Array.from({ length: 40 }, (_, i) => entry(i % 2 ? 'a' : 'b', 1_000 + i, `line ${i}`))
    const store = new LogStore()
    for (const cut of [7, 3, 25, 40]) {
      store.restart()
      store.add(all.slice(0, cut))
    }
    expect(texts(store)).toEqual(all.map((line) => line.message))
  })

  it('equal texts at equal times are different lines', () => {
    const store = new LogStore()
    store.add([entry('a', 5, 'same'), entry('a', 5, 'same')])
    store.restart()
    store.add([entry('a', 5, 'same'), entry('a', 5, 'same'), entry('a', 5, 'same')])
    expect(store.lines.map((line) => line.seq)).toEqual([0, 1, 2])
  })

  it('are recognised by their number even when the server sends them in another order', () => {
    const store = new LogStore()
    const [one, two, three] = [1, 2, 3].map((seq) => ({ ...entry('a', seq, `line ${seq}`), seq }))
    store.add([one!, three!])
    store.restart()
    store.add([one!, two!, three!])
    expect(texts(store)).toEqual(['line 1', 'line 2', 'line 3'])
  })

  it('of parallel tasks stand in order of time whatever order they came in', () => {
    const store = new LogStore()
    store.add([entry('a', 10, 'a1'), entry('a', 30, 'a2')])
    expect(store.add([entry('b', 5, 'b1'), entry('b', 20, 'b2'), entry('b', 40, 'b3')])).toBe(0)
    expect(texts(store)).toEqual(['b1', 'a1', 'b2', 'a2', 'b3'])
  })

  it('of one attempt keep their order when its clock steps back', () => {
    const store = new LogStore()
    store.add([entry('a', 10, 'first'), entry('a', 8, 'second'), entry('a', 11, 'third')])
    expect(texts(store)).toEqual(['first', 'second', 'third'])
  })

  it('keep-alives are not lines', () => {
    const store = new LogStore()
    store.add([{} as LogEntry])
    expect(store.lines).toEqual([])
  })

  it('100,000 are taken and indexed within a second', () => {
    const store = new LogStore()
    const index = new RowIndex()
    index.reset(0)
    const begin = performance.now()
    for (let batch = 0; batch < 200; batch++) {
      const from = store.add(Array.from({ length: 500 }, (_, i) => entry(`t${batch % 4}`, batch * 500 + i, `line ${batch * 500 + i}`)))
      for (let i = from; i < store.lines.length; i++) index.append(store.lines[i]!)
    }
    expect(index.rows).toBe(100_000)
    expect(index.slice(70_000, 70_003).map((row) => row.line.text)).toEqual(['line 70000', 'line 70001', 'line 70002'])
    expect(findLines(index.lines, 'LINE 99999')).toEqual([99_999])
    expect(performance.now() - begin).toBeLessThan(1_000)
  })
})

describe('rows of lines', () => {
  function indexOf(columns: number, ...messages: string[]): RowIndex {
    const store = new LogStore()
    store.add(messages.map((message, i) => entry('a', i, message)))
    const index = new RowIndex()
    index.reset(columns)
    for (const line of store.lines) index.append(line)
    return index
  }

  it('a text with line breaks takes one row each', () => {
    const index = indexOf(0, 'one', 'two\nthree\n', 'four')
    expect(index.rows).toBe(4)
    expect(index.slice(0, 4).map((row) => row.line.text.slice(row.from, row.to))).toEqual(['one', 'two', 'three', 'four'])
    expect(index.slice(2, 3).map((row) => row.part)).toEqual([1])
  })

  it('a long text wraps without losing a character', () => {
    const index = indexOf(4, 'abcdefghij', 'xy')
    expect(index.slice(0, 9).map((row) => row.line.text.slice(row.from, row.to))).toEqual(['abcd', 'efgh', 'ij', 'xy'])
    expect(index.rowOf(1)).toBe(3)
  })

  it('are cut where a late line belongs', () => {
    const store = new LogStore()
    store.add([entry('a', 10, 'a1'), entry('a', 30, 'a2')])
    const index = new RowIndex()
    index.reset(0)
    for (const line of store.lines) index.append(line)
    const from = store.add([entry('b', 20, 'b1')])
    index.cutAfter(store.lines[from]!)
    for (let i = from; i < store.lines.length; i++) index.append(store.lines[i]!)
    expect(index.lines.map((line) => line.text)).toEqual(['a1', 'b1', 'a2'])
  })
})
