/** The log of one execution, in full: what is stored, then what comes, until it is over. */
import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { ApiProblem, reportSignedOut } from '@/shared/api/client'
import type { Execution, LogEntry } from '@/shared/api/types'
import { reportReachable } from '@/shared/stream/connection'
import { Follow, type FollowStatus } from '@/shared/stream/follow'
import { LogStore } from './lines'

export interface LogLines {
  store: LogStore
  status: Ref<FollowStatus>
  problem: ShallowRef<unknown>
  /** Grows when lines have come in: once a frame of the screen at most. */
  version: Ref<number>
  /** Moves what came in into the store; the position of the first line that is new or moved. */
  drain: () => number
  reload: () => void
}

/** How long one frame of the screen may spend on new lines: the page goes on answering while a hundred thousand arrive. */
const BUDGET_MS = 10
const BATCH = 250

export function useLogLines(tenant: string, id: string, execution: ShallowRef<Execution | null>): LogLines {
  const store = new LogStore()
  const status = ref<FollowStatus>({ state: 'catching-up', freshAt: Date.now(), retryAt: null })
  const problem = shallowRef<unknown>(null)
  const version = ref(0)
  /** Frames that came in and are not read yet. */
  let waiting: string[] = []
  let taken = 0
  let scheduled = false
  let follow: Follow | null = null
  let started = false
  let disposed = false
  let ended: FollowStatus | null = null

  function announce(): void {
    if (scheduled || disposed) return
    scheduled = true
    const run = (): void => {
      scheduled = false
      version.value += 1
    }
    if (document.visibilityState === 'visible') requestAnimationFrame(run)
    else setTimeout(run, 100)
  }

  function drain(): number {
    const until = performance.now() + BUDGET_MS
    let first = store.lines.length
    do {
      const batch = waiting.slice(taken, taken + BATCH).map((data) => JSON.parse(data) as LogEntry)
      taken += batch.length
      first = Math.min(first, store.add(batch))
    } while (taken < waiting.length && performance.now() < until)
    if (taken < waiting.length) announce()
    else {
      waiting = []
      taken = 0
      // "Complete" is said when the last line is on screen, not when it has arrived.
      if (ended) status.value = ended
    }
    return first
  }

  function start(): void {
    started = true
    problem.value = null
    follow = new Follow({
      url: `/api/v1/${encodeURIComponent(tenant)}/logs/${encodeURIComponent(id)}/follow`,
      onOpen: () => {
        // What still waits will be sent again.
        waiting = []
        taken = 0
        store.restart()
      },
      onFrames: (frames) => {
        for (const frame of frames) if (frame.data.length > 2) waiting.push(frame.data)
        announce()
      },
      onStatus: (next) => {
        reportReachable(next.state !== 'stale')
        ended = next.state === 'complete' ? next : null
        if (!ended) status.value = next
        else announce()
      },
      onRefused: (code) => {
        if (code === 401) reportSignedOut()
        else problem.value = new ApiProblem(code, `The server answered ${code}.`)
      },
    })
    follow.start()
  }

  function reload(): void {
    if (follow && status.value.state === 'stale') follow.retry()
    else {
      follow?.stop()
      start()
    }
  }

  // An execution that does not exist has no log to wait for.
  watch(execution, (found) => found && !started && start(), { immediate: true })
  onScopeDispose(() => {
    disposed = true
    follow?.stop()
  })
  return { store, status, problem, version, drain, reload }
}
