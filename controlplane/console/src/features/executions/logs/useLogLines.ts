/** The log of one execution, in full: read once when it is over, followed while it runs. */
import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { api, ApiProblem, read, reportSignedOut } from '@/shared/api/client'
import type { Execution, LogEntry } from '@/shared/api/types'
import { isFinal } from '@/shared/state/states'
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

/** Lines put into the store in one go: keeps the page answering while a hundred thousand arrive. */
const BATCH = 20_000

export function useLogLines(tenant: string, id: string, execution: ShallowRef<Execution | null>): LogLines {
  const store = new LogStore()
  const status = ref<FollowStatus>({ state: 'catching-up', freshAt: Date.now(), retryAt: null })
  const problem = shallowRef<unknown>(null)
  const version = ref(0)
  let waiting: LogEntry[] = []
  let taken = 0
  let scheduled = false
  let follow: Follow | null = null
  let started = false
  let disposed = false

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
    const batch = waiting.slice(taken, taken + BATCH)
    taken += batch.length
    if (taken >= waiting.length) {
      waiting = []
      taken = 0
    } else announce()
    return store.add(batch)
  }

  function followLive(): void {
    follow = new Follow({
      url: `/api/v1/${encodeURIComponent(tenant)}/logs/${encodeURIComponent(id)}/follow`,
      onOpen: () => {
        // What still waits will be sent again.
        waiting = []
        taken = 0
        store.restart()
      },
      onFrames: (frames) => {
        for (const frame of frames) if (frame.data.length > 2) waiting.push(JSON.parse(frame.data) as LogEntry)
        announce()
      },
      onStatus: (next) => {
        status.value = next
        if (next.state !== 'complete') reportReachable(next.state !== 'stale')
      },
      onRefused: (code) => {
        if (code === 401) reportSignedOut()
        else problem.value = new ApiProblem(code, `The server answered ${code}.`)
      },
    })
    follow.start()
  }

  async function readWhole(): Promise<void> {
    try {
      const entries = await read(api.GET('/api/v1/{tenant}/logs/{executionId}', { params: { path: { tenant, executionId: id } } }))
      if (disposed) return
      store.restart()
      waiting = waiting.slice(taken).concat(entries)
      taken = 0
      status.value = { state: 'complete', freshAt: Date.now(), retryAt: null }
      announce()
    } catch (error) {
      problem.value = error
    }
  }

  function start(): void {
    problem.value = null
    const state = execution.value?.state.current
    if (!state) return
    started = true
    if (isFinal(state)) void readWhole()
    else followLive()
  }

  function reload(): void {
    if (follow && status.value.state === 'stale') follow.retry()
    else {
      follow?.stop()
      start()
    }
  }

  watch(execution, () => !started && start(), { immediate: true })
  onScopeDispose(() => {
    disposed = true
    follow?.stop()
  })
  return { store, status, problem, version, drain, reload }
}
