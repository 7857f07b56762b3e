/** The state of a polled region in the words of a stream: the same mark stands beside both. */
import type { UseQueryReturnType } from '@tanstack/vue-query'
import { computed, watch, type ComputedRef } from 'vue'
import { reportReachable } from '@/shared/stream/connection'
import type { FollowStatus } from '@/shared/stream/follow'
import { ApiProblem } from './client'

export function usePolledStatus(query: UseQueryReturnType<unknown, Error>): ComputedRef<FollowStatus> {
  const failing = computed(() => query.isError.value || query.failureCount.value > 0)
  watch(
    [failing, () => query.dataUpdatedAt.value],
    () => {
      const error = query.error.value ?? query.failureReason.value
      reportReachable(!failing.value || (error instanceof ApiProblem && error.status > 0))
    },
    { immediate: true },
  )
  return computed(() => ({
    state: failing.value ? 'stale' : query.data.value === undefined ? 'catching-up' : 'live',
    freshAt: query.dataUpdatedAt.value || Date.now(),
    retryAt: null,
  }))
}
