/** The list's filters as they stand in the address: the API's own grammar, so an address can be turned into an API call. */
import type { LocationQuery } from 'vue-router'
import { STATES, type StateName } from '@/shared/state/states'

export interface ListFilters {
  q: string
  states: StateName[]
  namespace: string
  flowId: string
  /** ISO duration, e.g. PT24H; empty = all time. */
  timeRange: string
  page: number
}

export const PAGE_SIZE = 50
const STATE = 'filters[state][IN]'
const NAMESPACE = 'filters[namespace][PREFIX]'
const FLOW = 'filters[flowId][EQUALS]'
const TIME = 'filters[timeRange][EQUALS]'

function text(query: LocationQuery, key: string): string {
  const value = query[key]
  return (Array.isArray(value) ? value[0] : value) ?? ''
}

export function filtersOf(query: LocationQuery): ListFilters {
  const known: readonly string[] = STATES
  return {
    q: text(query, 'q'),
    states: text(query, STATE).split(',').filter((state) => known.includes(state)) as StateName[],
    namespace: text(query, NAMESPACE),
    flowId: text(query, FLOW),
    timeRange: text(query, TIME),
    page: Math.max(1, Number(text(query, 'page')) || 1),
  }
}

/** The address of these filters; what is not set is left out. */
export function queryOf(filters: ListFilters): Record<string, string> {
  const query: Record<string, string> = {}
  if (filters.q) query.q = filters.q
  if (filters.states.length > 0) query[STATE] = filters.states.join(',')
  if (filters.namespace) query[NAMESPACE] = filters.namespace
  if (filters.flowId) query[FLOW] = filters.flowId
  if (filters.timeRange) query[TIME] = filters.timeRange
  if (filters.page > 1) query.page = String(filters.page)
  return query
}

export function isFiltered(filters: ListFilters): boolean {
  return Boolean(filters.q || filters.states.length || filters.namespace || filters.flowId || filters.timeRange)
}

/** The query string of the search behind a list. */
export function searchString(filters: ListFilters, size = PAGE_SIZE): string {
  const parameters = new URLSearchParams({ ...queryOf(filters), page: String(filters.page), size: String(size), sort: 'state.startDate:desc' })
  return parameters.toString()
}
