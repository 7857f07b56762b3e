/** Flows as the console shows them. */
import type { Flow } from '@/shared/api/types'

export interface FlowInput {
  id: string
  type: string
  description?: string
  displayName?: string
  required?: boolean
  defaults?: unknown
  prefill?: unknown
  values?: unknown[]
  allowCustomValue?: boolean
  min?: number
  max?: number
}

/** The inputs a flow declares, in its order. */
export function inputsOf(flow: Flow | undefined): FlowInput[] {
  return (flow?.inputs ?? []) as FlowInput[]
}

/** A value as a person edits it: texts as they are, the rest as JSON. */
export function editable(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value, null, typeof value === 'object' ? 2 : 0)
}

/** The choices of an input that has some: plain values, or objects with a label. */
export function choices(input: FlowInput): { value: string; label: string }[] {
  return (input.values ?? []).map((item) => {
    if (typeof item === 'object' && item !== null && 'value' in item) {
      const { value, label } = item as { value: unknown; label?: unknown }
      return { value: String(value), label: String(label ?? value) }
    }
    return { value: String(item), label: String(item) }
  })
}

/** What is wrong with a value before it is sent; empty when nothing is. The server has the last word. */
export function inputProblem(input: FlowInput, value: string): string {
  const name = input.displayName ?? input.id
  if (value.trim() === '') return input.required !== false && input.defaults === undefined ? `${name} is required.` : ''
  switch (input.type) {
    case 'INT':
      if (!/^-?\d+$/.test(value.trim())) return `${name} must be a whole number.`
      return outOfRange(name, Number(value), input)
    case 'FLOAT':
      if (Number.isNaN(Number(value))) return `${name} must be a number.`
      return outOfRange(name, Number(value), input)
    case 'JSON':
    case 'ARRAY':
    case 'MULTISELECT': {
      try {
        const parsed: unknown = JSON.parse(value)
        return input.type !== 'JSON' && !Array.isArray(parsed) ? `${name} must be a list, e.g. ["a", "b"].` : ''
      } catch {
        return `${name} must be valid JSON.`
      }
    }
    default:
      return ''
  }
}

function outOfRange(name: string, value: number, { min, max }: FlowInput): string {
  if (min !== undefined && value < min) return `${name} must be at least ${min}.`
  return max !== undefined && value > max ? `${name} must be at most ${max}.` : ''
}
