/**
 * The log lines of an execution, as they arrive and as they are shown.
 *
 * A stream that was cut starts again from the first line. Every line has its number within its attempt, so what was already
 * taken is recognised, and nothing is missing or doubled whatever happens to the connection.
 */
import type { Level, LogEntry } from '@/shared/api/types'
import { stripAnsi } from '@/shared/text/ansi'

export interface LogLine {
  /** Number within its attempt. */
  seq: number
  attemptKey: string
  taskRunId: string
  taskId: string
  attempt: number
  /** Milliseconds; never before the preceding line of the same attempt. */
  at: number
  level: Level
  /** As sent, colours included. */
  raw: string
  /** Without escape sequences: what is searched, measured and copied. */
  text: string
}

export const LEVELS: readonly Level[] = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR']

export function levelRank(level: Level): number {
  return LEVELS.indexOf(level)
}

interface AttemptLog {
  held: Set<number>
  /** Lines of this connection so far: their number where the server sends none. */
  seen: number
  lastSeq: number
  lastAt: number
}

export class LogStore {
  readonly lines: LogLine[] = []
  /** Lines per level, by rank. */
  readonly counts: number[] = [0, 0, 0, 0, 0]
  private readonly attempts = new Map<string, AttemptLog>()

  /** A new connection begins and will repeat everything. */
  restart(): void {
    for (const log of this.attempts.values()) log.seen = 0
  }

  /**
   * Takes entries in the order they came. Returns the index of the first line that is new or changed place;
   * `lines.length` when there is none.
   */
  add(entries: readonly LogEntry[]): number {
    const fresh: LogLine[] = []
    for (const entry of entries) {
      if (typeof entry.message !== 'string') continue // a keep-alive
      const taskRunId = entry.taskRunId ?? ''
      const attempt = entry.attemptNumber ?? 0
      const attemptKey = `${taskRunId}/${attempt}`
      let log = this.attempts.get(attemptKey)
      if (!log) {
        log = { held: new Set(), seen: 0, lastSeq: -1, lastAt: 0 }
        this.attempts.set(attemptKey, log)
      }
      const position = log.seen++
      const seq = entry.seq ?? position
      if (log.held.has(seq)) continue
      log.held.add(seq)
      let at = Date.parse(entry.timestamp) || 0
      if (seq > log.lastSeq) {
        // A clock that steps back must not reorder the lines of one attempt.
        at = Math.max(at, log.lastAt)
        log.lastAt = at
        log.lastSeq = seq
      }
      const level = LEVELS.includes(entry.level) ? entry.level : 'INFO'
      this.counts[levelRank(level)]! += 1
      const raw = entry.message.replace(/[\r\n]+$/, '')
      fresh.push({ seq, attemptKey, taskRunId, taskId: entry.taskId ?? '', attempt, at, level, raw, text: stripAnsi(raw) })
    }
    return this.insert(fresh)
  }

  /** Puts new lines where their time belongs: nearly always at the end. */
  private insert(fresh: LogLine[]): number {
    const lines = this.lines
    if (fresh.length === 0) return lines.length
    fresh.sort(inOrder)
    const first = fresh[0]!
    let at = lines.length
    while (at > 0 && inOrder(lines[at - 1]!, first) > 0) at -= 1
    const tail = lines.splice(at)
    let next = 0
    for (const old of tail) {
      while (next < fresh.length && inOrder(fresh[next]!, old) < 0) lines.push(fresh[next++]!)
      lines.push(old)
    }
    while (next < fresh.length) lines.push(fresh[next++]!)
    return at
  }
}

/** By time; lines of one attempt by number; otherwise by attempt, so that the order is the same on every load. */
export function inOrder(a: LogLine, b: LogLine): number {
  if (a.at !== b.at) return a.at - b.at
  if (a.attemptKey === b.attemptKey) return a.seq - b.seq
  return a.attemptKey < b.attemptKey ? -1 : 1
}

export interface LineFilter {
  minRank: number
  taskId: string
  taskRunId: string
}

export function passes(line: LogLine, filter: LineFilter): boolean {
  return (
    levelRank(line.level) >= filter.minRank &&
    (!filter.taskId || line.taskId === filter.taskId) &&
    (!filter.taskRunId || line.taskRunId === filter.taskRunId)
  )
}
