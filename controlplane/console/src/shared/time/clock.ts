/** A clock views can show: ticks while somebody looks, by the server's time where that is known. */
import { onScopeDispose, readonly, ref, type Ref } from 'vue'

/** Server time minus this device's time, milliseconds: learned from running durations the server states. */
let offset = 0

export function learnServerTime(serverNow: number): void {
  const measured = serverNow - Date.now()
  // Transport only ever makes the server look slow; keep the best of what was seen, but follow real changes of the clock.
  if (Math.abs(measured - offset) > 5_000 || measured > offset) offset = measured
}

export function serverNow(): number {
  return Date.now() + offset
}

/** Server time, renewed every `everyMs` while the calling component lives. */
export function useNow(everyMs: number): Readonly<Ref<number>> {
  const now = ref(serverNow())
  const timer = setInterval(() => {
    if (document.visibilityState === 'visible') now.value = serverNow()
  }, everyMs)
  onScopeDispose(() => clearInterval(timer))
  return readonly(now)
}
