import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Follow, type StreamState } from './follow'
import type { Frame } from './frames'

/** A server whose answers to successive connections are given as texts; a text is sent whole and the connection closed. */
function serverOf(...answers: (string | number)[]): typeof fetch {
  return vi.fn(async () => {
    const answer = answers.shift()
    if (answer === undefined) throw new TypeError('unreachable')
    if (typeof answer === 'number') return new Response(null, { status: answer })
    return new Response(answer, { headers: { 'content-type': 'text/event-stream' } })
  }) as unknown as typeof fetch
}

async function run(server: typeof fetch): Promise<{ states: StreamState[]; frames: Frame[]; opened: number; refused: number | null }> {
  const seen = { states: [] as StreamState[], frames: [] as Frame[], opened: 0, refused: null as number | null }
  const follow = new Follow({
    url: '/stream',
    fetch: server,
    onOpen: () => (seen.opened += 1),
    onFrames: (frames) => seen.frames.push(...frames),
    onStatus: ({ state }) => seen.states.at(-1) !== state && seen.states.push(state),
    onRefused: (status) => (seen.refused = status),
  })
  follow.start()
  await vi.advanceTimersByTimeAsync(5_000)
  follow.stop()
  return seen
}

describe('following a stream', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubGlobal('fetch', async () => new Response())
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it('is live while frames come and complete after the end', async () => {
    const seen = await run(serverOf('id: progress\ndata: 1\n\nid: end\ndata: 2\n\n'))
    expect(seen.states.at(-1)).toBe('complete')
    expect(seen.frames.map((frame) => frame.data)).toEqual(['1', '2'])
    expect(seen.opened).toBe(1)
  })

  it('turns stale when cut, connects again and announces the repetition', async () => {
    const seen = await run(serverOf('id: progress\ndata: 1\n\n', 503, 'id: progress\ndata: 1\n\nid: end\ndata: 2\n\n'))
    expect(seen.states).toEqual(['live', 'stale', 'live', 'complete'])
    expect(seen.opened).toBe(2)
  })

  it('gives up when the server refuses for good', async () => {
    const server = serverOf(404)
    const seen = await run(server)
    expect(seen.refused).toBe(404)
    expect(server).toHaveBeenCalledTimes(1)
  })

  it('keeps trying with growing pauses while nothing answers', async () => {
    const server = serverOf()
    const seen = await run(server)
    expect(seen.states).toEqual(['stale'])
    const calls = vi.mocked(server).mock.calls.length
    expect(calls).toBeGreaterThanOrEqual(3)
    expect(calls).toBeLessThanOrEqual(6)
  })
})
