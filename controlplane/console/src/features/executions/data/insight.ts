/** What a task run that used dlt says about its load. Found in the outputs of the dlt task and of scripts alike. */
import type { TaskRun } from '@/shared/api/types'

export interface SchemaChange {
  table: string
  change: string
  column?: string | null
  dataType?: string | null
  nullable?: boolean | null
  variantOf?: string
  columns?: { name: string; dataType: string; nullable: boolean }[]
}

export interface LoadJob {
  id: string
  table: string
  format?: string
  bytes?: number | null
  seconds?: number
  retries?: number
  message?: string
}

export interface LoadPackage {
  loadId: string
  state: string
  completedAt?: string | null
  schemaHash?: string
  schemaChanged?: boolean
  rows?: Record<string, number>
  jobs?: Record<string, LoadJob[]>
  jobsTotal?: number
  bytes?: number
}

export interface Cursor {
  source: string
  resource: string
  path: string
  initialValue?: unknown
  startValue?: unknown
  lastValue?: unknown
}

export interface Insight {
  pipelineName: string
  destination?: string | null
  destinationType?: string | null
  dataset?: string | null
  state?: string
  firstRun?: boolean
  loadIds: string[]
  rows?: Record<string, number>
  bytes?: Record<string, number>
  packages?: LoadPackage[]
  schemaChanges?: SchemaChange[]
  cursors?: Cursor[]
  pending?: { loadId: string; state: string }[]
  steps?: { step: string; startedAt?: string; endedAt?: string | null; seconds?: number | null; failed?: boolean }[]
  schema?: { name: string; version: number; versionHash: string } | null
  failures?: { step: string; kind?: string | null; message: string; retryable?: boolean }[]
}

export interface TaskInsight {
  taskRun: TaskRun
  insight: Insight
}

const DEPTH = 2

export function insightsOf(taskRuns: readonly TaskRun[]): TaskInsight[] {
  const found: TaskInsight[] = []
  for (const taskRun of taskRuns) {
    const insight = taskRun.outputs ? find(taskRun.outputs, DEPTH) : null
    if (insight) found.push({ taskRun, insight })
  }
  return found
}

function find(value: object, depth: number): Insight | null {
  if ('pipelineName' in value && Array.isArray((value as Partial<Insight>).loadIds)) return value as Insight
  if (depth === 0) return null
  for (const child of Object.values(value)) {
    if (typeof child !== 'object' || child === null || Array.isArray(child)) continue
    const insight = find(child, depth - 1)
    if (insight) return insight
  }
  return null
}

/** A change of the destination's schema as a phrase. */
export function changeWords(change: SchemaChange): string {
  if (change.change === 'new_table') return `new table ${change.table}`
  if (change.change === 'new_variant') return `${change.table}.${change.variantOf ?? change.column} also holds ${change.dataType}`
  if (change.change === 'new_column') return `new column ${change.table}.${change.column}`
  return [change.change.replaceAll('_', ' '), change.column ? `${change.table}.${change.column}` : change.table].join(' ')
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  for (const [limit, unit] of [
    [1e6, 'kB'],
    [1e9, 'MB'],
    [1e12, 'GB'],
  ] as const) {
    if (bytes < limit) return `${((bytes / limit) * 1_000).toPrecision(3)} ${unit}`
  }
  return `${(bytes / 1e12).toPrecision(3)} TB`
}

/** A load id is the instant it was made, in seconds. */
export function loadInstant(loadId: string): number | null {
  const seconds = Number(loadId)
  return seconds > 1e9 && seconds < 1e11 ? seconds * 1_000 : null
}
