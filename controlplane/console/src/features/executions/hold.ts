/** New rows of a list do not push away what someone is looking at: they wait until asked for. */
export interface Held<T> {
  rows: T[]
  /** How many rows of the newest answer wait outside. */
  waiting: number
}

export function holdRows<T extends { id: string }>(shown: readonly T[], newest: readonly T[]): Held<T> {
  const fresh = new Map(newest.map((row) => [row.id, row]))
  const known = new Set(shown.map((row) => row.id))
  return {
    rows: shown.map((row) => fresh.get(row.id) ?? row),
    waiting: newest.reduce((count, row) => count + (known.has(row.id) ? 0 : 1), 0),
  }
}
