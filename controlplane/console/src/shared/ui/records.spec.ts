import { describe, expect, it } from 'vitest'
import { columnsOf } from './records'

describe('a list', () => {
  it('of alike records has columns', () => {
    expect(columnsOf([{ table: 'games', rows: 41 }, { rows: 6, table: 'profiles' }])).toEqual(['table', 'rows'])
  })

  it('of anything else has none', () => {
    for (const other of [[], [1, 2], [{ a: 1 }, { b: 1 }], [{ a: { b: 1 } }], [[1]], { a: 1 }, null]) expect(columnsOf(other)).toBeNull()
  })
})
