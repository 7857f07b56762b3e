import { describe, expect, it } from 'vitest'
import { filtersOf, queryOf, searchString } from './query'

describe('filters of the executions list', () => {
  it('come back from the address as they were written', () => {
    const filters = { q: 'chess', states: ['RUNNING' as const, 'FAILED' as const], namespace: 'company', flowId: 'daily', timeRange: 'PT24H', page: 3 }
    expect(filtersOf(queryOf(filters))).toEqual(filters)
  })

  it('leave nothing in the address when none is set', () => {
    expect(queryOf(filtersOf({}))).toEqual({})
  })

  it('ignore states that do not exist and pages that are none', () => {
    expect(filtersOf({ 'filters[state][IN]': 'RUNNING,DANCING', page: '-4' })).toMatchObject({ states: ['RUNNING'], page: 1 })
  })

  it('make the API call of the same address', () => {
    const call = new URLSearchParams(searchString(filtersOf({ 'filters[state][IN]': 'RUNNING', q: 'a b' })))
    expect(Object.fromEntries(call)).toEqual({ q: 'a b', 'filters[state][IN]': 'RUNNING', page: '1', size: '50', sort: 'state.startDate:desc' })
  })
})
