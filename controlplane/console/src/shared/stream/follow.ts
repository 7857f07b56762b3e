/**
 * Keeps a server-sent stream open: connects, hands frames over, notices silence, reconnects with a growing delay.
 *
 * A stream that is cut is never an error of the page. The server sends the full truth again after a reconnect, so whoever
 * reads the frames must only be able to take a repetition.
 */
import { probe } from './reachable'
import { FrameParser, type Frame } from './frames'

export type StreamState = 'catching-up' | 'live' | 'stale' | 'complete'

export interface FollowStatus {
  state: StreamState
  /** When the data was last known to be true, milliseconds. */
  freshAt: number
  /** When the next attempt to connect is due; only while stale. */
  retryAt: number | null
}

export interface FollowOptions {
  url: string
  /** A new connection begins: what follows repeats from the start. */
  onOpen?: () => void
  onFrames: (frames: Frame[]) => void
  onStatus: (status: FollowStatus) => void
  /** The server refused for good: not found, no access, signed out. */
  onRefused: (status: number) => void
  fetch?: typeof fetch
}

/** Silence after which the server is asked whether it is there. Keep-alives of a healthy stream may be further apart. */
const SILENCE_MS = 2_500
const FIRST_DELAY_MS = 400
const LONGEST_DELAY_MS = 8_000

export class Follow {
  private status: FollowStatus = { state: 'catching-up', freshAt: Date.now(), retryAt: null }
  private controller: AbortController | null = null
  private retryTimer: ReturnType<typeof setTimeout> | undefined
  private watchTimer: ReturnType<typeof setInterval> | undefined
  private lastBytesAt = 0
  private failures = 0
  private closed = false

  constructor(private readonly options: FollowOptions) {}

  start(): void {
    void this.connect()
  }

  /** Connects at once instead of waiting for the next attempt. */
  retry(): void {
    if (this.closed || this.status.state !== 'stale') return
    clearTimeout(this.retryTimer)
    void this.connect()
  }

  stop(): void {
    this.closed = true
    clearTimeout(this.retryTimer)
    clearInterval(this.watchTimer)
    this.controller?.abort()
  }

  private async connect(): Promise<void> {
    this.controller?.abort()
    const controller = new AbortController()
    this.controller = controller
    let ended = false
    this.lastBytesAt = Date.now()
    this.watch(controller)
    try {
      const request = this.options.fetch ?? fetch
      const response = await request(this.options.url, {
        headers: { accept: 'text/event-stream' },
        credentials: 'same-origin',
        cache: 'no-store',
        signal: controller.signal,
      })
      if ([400, 401, 403, 404, 410].includes(response.status)) {
        this.stop()
        this.options.onRefused(response.status)
        return
      }
      if (!response.ok || !response.body) throw new Error(`stream answered ${response.status}`)
      this.lastBytesAt = Date.now()
      this.options.onOpen?.()
      const parser = new FrameParser()
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      for (;;) {
        const { done, value } = await reader.read()
        if (done) break
        this.lastBytesAt = Date.now()
        const frames = parser.push(value)
        if (frames.length === 0) continue
        this.failures = 0
        ended = frames.some((frame) => frame.id === 'end')
        this.set({ state: 'live', freshAt: this.lastBytesAt, retryAt: null })
        this.options.onFrames(frames)
        if (ended) break
      }
    } catch {
      // Cut or unreachable: handled below like a stream that simply stopped.
    }
    if (this.closed || this.controller !== controller) return
    clearInterval(this.watchTimer)
    controller.abort()
    if (ended) {
      this.stop()
      this.set({ state: 'complete', freshAt: Date.now(), retryAt: null })
      return
    }
    this.scheduleRetry()
  }

  private scheduleRetry(): void {
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.failures) * (0.75 + Math.random() / 2)
    this.failures += 1
    this.set({ state: 'stale', freshAt: this.status.freshAt, retryAt: Date.now() + delay })
    this.retryTimer = setTimeout(() => void this.connect(), delay)
  }

  /** A connection that is dead without being closed is found by asking the server beside it. */
  private watch(controller: AbortController): void {
    clearInterval(this.watchTimer)
    let asking = false
    this.watchTimer = setInterval(async () => {
      if (asking || Date.now() - this.lastBytesAt < SILENCE_MS) return
      asking = true
      const reachable = await probe()
      asking = false
      if (this.closed || this.controller !== controller) return
      if (reachable) {
        if (this.status.state === 'live') this.set({ ...this.status, freshAt: Date.now() })
      } else {
        controller.abort()
      }
    }, 500)
  }

  private set(status: FollowStatus): void {
    this.status = status
    this.options.onStatus(status)
  }
}
