/** Task id → type, found anywhere in a flow: in lists of tasks, branches, cases. */
export function taskTypes(flow: unknown): Map<string, string> {
  const types = new Map<string, string>()
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) walk(item)
    else if (typeof value === 'object' && value !== null) {
      const { id, type } = value as Record<string, unknown>
      if (typeof id === 'string' && typeof type === 'string' && !types.has(id)) types.set(id, type)
      for (const child of Object.values(value)) if (typeof child === 'object') walk(child)
    }
  }
  if (typeof flow === 'object' && flow !== null) {
    const { tasks, errors, finally: last, afterExecution } = flow as Record<string, unknown>
    for (const part of [tasks, errors, last, afterExecution]) walk(part)
  }
  return types
}
