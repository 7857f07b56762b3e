/**
 * A window over rows of equal height: only those in view are rendered. Cost does not depend on how many there are.
 */
import { computed, onBeforeUnmount, ref, shallowRef, type ComputedRef, type Ref } from 'vue'

export interface RowWindow {
  /** The scrolling element's `:ref`. */
  bind: (element: unknown) => void
  first: ComputedRef<number>
  last: ComputedRef<number>
  totalHeight: ComputedRef<number>
  viewHeight: Ref<number>
  viewWidth: Ref<number>
  scrollTop: Ref<number>
  atEnd: () => boolean
  scrollToEnd: () => void
  reveal: (row: number, where?: 'near' | 'centre') => void
}

const OVERSCAN = 8

export function useRowWindow(count: () => number, rowHeight: number): RowWindow {
  const scroller = shallowRef<HTMLElement | null>(null)
  const scrollTop = ref(0)
  const viewHeight = ref(0)
  const viewWidth = ref(0)
  let observer: ResizeObserver | null = null

  const onScroll = (): void => {
    scrollTop.value = scroller.value?.scrollTop ?? 0
  }
  const measure = (): void => {
    viewHeight.value = scroller.value?.clientHeight ?? 0
    viewWidth.value = scroller.value?.clientWidth ?? 0
    onScroll()
  }

  function bind(element: unknown): void {
    const next = element instanceof HTMLElement ? element : null
    if (next === scroller.value) return
    scroller.value?.removeEventListener('scroll', onScroll)
    observer?.disconnect()
    scroller.value = next
    if (!next) return
    next.addEventListener('scroll', onScroll, { passive: true })
    observer = new ResizeObserver(measure)
    observer.observe(next)
    measure()
  }
  onBeforeUnmount(() => bind(null))

  const first = computed(() => Math.max(0, Math.min(Math.floor(scrollTop.value / rowHeight), count()) - OVERSCAN))
  const last = computed(() => Math.min(count(), Math.ceil((scrollTop.value + viewHeight.value) / rowHeight) + OVERSCAN))
  const totalHeight = computed(() => count() * rowHeight)

  return {
    bind,
    first,
    last,
    totalHeight,
    viewHeight,
    viewWidth,
    scrollTop,
    atEnd: () => {
      const element = scroller.value
      return !element || element.scrollHeight - element.scrollTop - element.clientHeight < rowHeight * 1.5
    },
    scrollToEnd: () => {
      const element = scroller.value
      if (element) element.scrollTop = element.scrollHeight
    },
    reveal: (row, where = 'near') => {
      const element = scroller.value
      if (!element) return
      const top = row * rowHeight
      if (where === 'centre') element.scrollTop = top - element.clientHeight / 2
      else if (top < element.scrollTop) element.scrollTop = top
      else if (top + rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = top + rowHeight - element.clientHeight
    },
  }
}
