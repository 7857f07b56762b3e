/** One execution, followed while it runs: the latest truth, and how true it is. */
import { inject, onScopeDispose, provide, ref, shallowRef, type InjectionKey, type Ref, type ShallowRef } from 'vue'
import { api, ApiProblem, read, reportSignedOut } from '@/shared/api/client'
import type { Execution } from '@/shared/api/types'
import { isFinal } from '@/shared/state/states'
import { reportReachable } from '@/shared/stream/connection'
import { Follow, type FollowStatus } from '@/shared/stream/follow'
import type { Frame } from '@/shared/stream/frames'
import { learnServerTime } from '@/shared/time/clock'
import { parseDuration } from '@/shared/time/format'
import { mergeExecution } from './merge'

export interface FollowedExecution {
  tenant: string
  id: string
  execution: ShallowRef<Execution | null>
  status: Ref<FollowStatus>
  problem: ShallowRef<unknown>
  reload: () => void
}

const KEY: InjectionKey<FollowedExecution> = Symbol('execution')

export function useFollowedExecution(): FollowedExecution {
  const followed = inject(KEY)
  if (!followed) throw new Error('no execution is followed here')
  return followed
}

export function followExecution(tenant: string, id: string): FollowedExecution {
  const execution = shallowRef<Execution | null>(null)
  const problem = shallowRef<unknown>(null)
  const status = ref<FollowStatus>({ state: 'catching-up', freshAt: Date.now(), retryAt: null })
  let follow: Follow | null = null
  let newest: Frame | null = null
  let scheduled = false
  let appliedAt = 0
  let cost = 0
  let disposed = false

  function take(sent: Execution): void {
    const so_far = sent.state.duration ? parseDuration(sent.state.duration) : null
    if (so_far !== null && !isFinal(sent.state.current)) learnServerTime(Date.parse(sent.state.startDate) + so_far)
    execution.value = mergeExecution(execution.value, sent)
  }

  /** Of the frames that arrived, only the newest counts: each is the whole execution. Large ones are taken less often. */
  function apply(): void {
    scheduled = false
    const frame = newest
    if (!frame || disposed) return
    newest = null
    const begin = performance.now()
    take(JSON.parse(frame.data) as Execution)
    cost = performance.now() - begin
    appliedAt = performance.now()
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    const wait = appliedAt + Math.min(1_000, cost * 6) - performance.now()
    if (wait > 16) setTimeout(apply, wait)
    else if (document.visibilityState === 'visible') requestAnimationFrame(apply)
    else setTimeout(apply, 0)
  }

  function start(): void {
    follow = new Follow({
      url: `/api/v1/${encodeURIComponent(tenant)}/executions/${encodeURIComponent(id)}/follow`,
      onFrames: (frames) => {
        for (const frame of frames) {
          if (frame.data.length < 3) continue // a keep-alive
          newest = frame
        }
        if (frames.at(-1)?.id === 'end') apply()
        else schedule()
      },
      onStatus: (next) => {
        status.value = next
        reportReachable(next.state !== 'stale')
      },
      onRefused: (code) => {
        if (code === 401) reportSignedOut()
        else problem.value = new ApiProblem(code, code === 404 ? 'This execution does not exist any more.' : `The server answered ${code}.`)
      },
    })
    follow.start()
  }

  async function load(): Promise<void> {
    problem.value = null
    status.value = { state: 'catching-up', freshAt: Date.now(), retryAt: null }
    try {
      const found = await read(
        api.GET('/api/v1/{tenant}/executions/{executionId}', { params: { path: { tenant, executionId: id } }, signal: AbortSignal.timeout(10_000) }),
      )
      if (disposed) return
      take(found)
      // A finished execution changes no more: no stream is opened.
      if (isFinal(found.state.current)) status.value = { state: 'complete', freshAt: Date.now(), retryAt: null }
      else start()
    } catch (error) {
      if (!disposed) problem.value = error
    }
  }

  function reload(): void {
    if (follow && status.value.state === 'stale') follow.retry()
    else {
      follow?.stop()
      void load()
    }
  }

  void load()
  onScopeDispose(() => {
    disposed = true
    follow?.stop()
    reportReachable(true)
  })
  const followed = { tenant, id, execution, status, problem, reload }
  provide(KEY, followed)
  return followed
}
