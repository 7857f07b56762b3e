/** The chosen task run: part of the address, so a link shows the same. */
import { computed, type ComputedRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'

export function useChosenTask(): { chosen: ComputedRef<string | null>; choose: (id: string | null) => void } {
  const route = useRoute()
  const router = useRouter()
  const chosen = computed(() => (typeof route.query.task === 'string' ? route.query.task : null))
  return {
    chosen,
    choose: (id) => {
      const { task: _, ...rest } = route.query
      void router.replace({ params: route.params, query: id ? { ...rest, task: id } : rest })
    },
  }
}
