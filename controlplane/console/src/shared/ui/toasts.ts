/** Short messages about what a person just did. */
import { reactive } from 'vue'

export interface Toast {
  id: number
  text: string
  kind: 'done' | 'failed'
}

export const toasts = reactive<Toast[]>([])
let next = 1

export function toast(text: string, kind: Toast['kind'] = 'done'): void {
  const id = next++
  toasts.push({ id, text, kind })
  setTimeout(() => dismiss(id), kind === 'failed' ? 10_000 : 4_000)
}

export function dismiss(id: number): void {
  const at = toasts.findIndex((item) => item.id === id)
  if (at >= 0) toasts.splice(at, 1)
}
