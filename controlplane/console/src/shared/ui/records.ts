/** Lists that read better as a table: records with the same few plain fields. */
const COLUMNS_MAX = 12

/** The columns of such a list, in the order of its first record; null when it is none. */
export function columnsOf(value: unknown): string[] | null {
  if (!Array.isArray(value) || value.length === 0) return null
  const first: unknown = value[0]
  if (typeof first !== 'object' || first === null || Array.isArray(first)) return null
  const columns = Object.keys(first)
  if (columns.length === 0 || columns.length > COLUMNS_MAX) return null
  const same = value.every(
    (record) =>
      typeof record === 'object' &&
      record !== null &&
      Object.keys(record as object).length === columns.length &&
      columns.every((column) => column in (record as object) && isPlain((record as Record<string, unknown>)[column])),
  )
  return same ? columns : null
}

function isPlain(value: unknown): boolean {
  return value === null || typeof value !== 'object'
}
