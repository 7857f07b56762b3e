/** What a flow says about its tasks: their types, and how many stand directly inside each container. */
import { useQuery } from '@tanstack/vue-query'
import { computed, type ComputedRef } from 'vue'
import { api, read } from '@/shared/api/client'
import { useFollowedExecution } from './useExecution'

export interface FlowShape {
  /** Task id → type. */
  types: Map<string, string>
  /** Container's task id → number of tasks in its list. */
  sizes: Map<string, number>
}

/** Reads tasks wherever they stand: in lists, branches, cases. */
export function flowShape(flow: unknown): FlowShape {
  const shape: FlowShape = { types: new Map(), sizes: new Map() }
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) walk(item)
    else if (typeof value === 'object' && value !== null) {
      const { id, type, tasks } = value as Record<string, unknown>
      if (typeof id === 'string' && typeof type === 'string' && !shape.types.has(id)) {
        shape.types.set(id, type)
        if (Array.isArray(tasks)) shape.sizes.set(id, tasks.length)
      }
      for (const child of Object.values(value)) if (typeof child === 'object') walk(child)
    }
  }
  if (typeof flow === 'object' && flow !== null) {
    const { tasks, errors, finally: last, afterExecution } = flow as Record<string, unknown>
    for (const part of [tasks, errors, last, afterExecution]) walk(part)
  }
  return shape
}

/** The shape of the flow revision this execution runs; empty until it is known. */
export function useFlowShape(): ComputedRef<FlowShape> {
  const { tenant, execution } = useFollowedExecution()
  const flow = useQuery({
    queryKey: computed(() => ['flow', tenant, execution.value?.namespace, execution.value?.flowId, execution.value?.flowRevision]),
    enabled: computed(() => execution.value !== null),
    queryFn: () => {
      const { namespace, flowId, flowRevision } = execution.value!
      return read(api.GET('/api/v1/{tenant}/flows/{namespace}/{id}', { params: { path: { tenant, namespace, id: flowId }, query: { revision: flowRevision, allowDeleted: true } } }))
    },
    staleTime: Infinity,
    retry: false,
  })
  return computed(() => flowShape(flow.data.value))
}
