/** Files among output values: addresses of internal storage. */
export interface OutputFile {
  uri: string
  name: string
  /** Where in the outputs it stands. */
  path: string
}

const SCHEME = 'kestra:///'

export function filesIn(value: unknown, path = ''): OutputFile[] {
  if (typeof value === 'string') return value.startsWith(SCHEME) ? [{ uri: value, name: decodeURIComponent(value.split('/').at(-1) ?? value), path }] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, child]) => filesIn(child, path ? `${path}.${key}` : key))
}
