import { describe, expect, it } from 'vitest'
import { holdRows } from './hold'

describe('a list someone looks at', () => {
  it('updates rows in place and keeps new ones outside', () => {
    const shown = [{ id: 'b', state: 'RUNNING' }, { id: 'a', state: 'SUCCESS' }]
    const newest = [{ id: 'c', state: 'CREATED' }, { id: 'b', state: 'SUCCESS' }, { id: 'a', state: 'SUCCESS' }]
    expect(holdRows(shown, newest)).toEqual({ rows: [{ id: 'b', state: 'SUCCESS' }, { id: 'a', state: 'SUCCESS' }], waiting: 1 })
  })
})
