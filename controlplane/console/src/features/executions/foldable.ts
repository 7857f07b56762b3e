/** The rows of the task tree, and which of them are folded. Large groups start folded. */
import { computed, reactive, type ComputedRef, type ShallowRef } from 'vue'
import type { Execution } from '@/shared/api/types'
import { useFlowShape, type FlowShape } from './taskTypes'
import { buildTree, visibleRows, type TreeNode } from './tree'

const FOLD_ABOVE = 200

export interface TaskRows {
  shape: ComputedRef<FlowShape>
  roots: ComputedRef<TreeNode[]>
  rows: ComputedRef<TreeNode[]>
  isFolded: (node: TreeNode) => boolean
  toggle: (node: TreeNode) => void
  foldAll: (folded: boolean) => void
}

export function useTaskRows(execution: ShallowRef<Execution | null>): TaskRows {
  const shape = useFlowShape()
  const choices = reactive(new Map<string, boolean>())
  const isFolded = (node: TreeNode): boolean => choices.get(node.key) ?? (node.children.length > FOLD_ABOVE || isManyth(node))
  const roots = computed(() => buildTree(execution.value?.taskRunList ?? [], shape.value.sizes))
  const rows = computed(() => visibleRows(roots.value, isFolded))

  /** Iterations of a loop with many are opened one by one. */
  function isManyth(node: TreeNode): boolean {
    return node.taskRun === null && (execution.value?.taskRunList?.length ?? 0) > FOLD_ABOVE
  }

  function foldAll(folded: boolean): void {
    const walk = (nodes: readonly TreeNode[]): void => {
      for (const node of nodes) {
        if (node.children.length === 0) continue
        choices.set(node.key, folded)
        walk(node.children)
      }
    }
    walk(roots.value)
  }

  return { shape, roots, rows, isFolded, toggle: (node) => choices.set(node.key, !isFolded(node)), foldAll }
}
