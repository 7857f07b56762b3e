/** Keyboard shortcuts: single keys and pairs ("g e"), silent while someone types. */
import { onBeforeUnmount, onMounted } from 'vue'

export type Shortcuts = Record<string, () => unknown>

const PAIR_WITHIN_MS = 1_000
const active: Shortcuts[] = []
let pending: { key: string; at: number } | null = null

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
  if (document.querySelector('dialog[open]')) return
  const pair = pending && Date.now() - pending.at < PAIR_WITHIN_MS ? `${pending.key} ${event.key}` : ''
  pending = null
  for (const shortcuts of [...active].reverse()) {
    const action = shortcuts[pair] ?? shortcuts[event.key]
    if (!action) continue
    event.preventDefault()
    action()
    return
  }
  if (active.some((shortcuts) => Object.keys(shortcuts).some((name) => name.startsWith(`${event.key} `)))) pending = { key: event.key, at: Date.now() }
}

/** Adds shortcuts while the calling component is on screen; the latest wins. */
export function useShortcuts(shortcuts: Shortcuts): void {
  onMounted(() => {
    if (active.length === 0) document.addEventListener('keydown', onKey)
    active.push(shortcuts)
  })
  onBeforeUnmount(() => {
    active.splice(active.indexOf(shortcuts), 1)
    if (active.length === 0) document.removeEventListener('keydown', onKey)
  })
}
