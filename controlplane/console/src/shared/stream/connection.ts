/** Whether the server answers: told by whatever page is reading, shown by the frame. */
import { ref } from 'vue'

export const unreachableSince = ref<number | null>(null)

export function reportReachable(reachable: boolean): void {
  if (reachable) unreachableSince.value = null
  else unreachableSince.value ??= Date.now()
}
