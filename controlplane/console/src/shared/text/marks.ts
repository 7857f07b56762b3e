/** Cuts the visible part of a styled line into pieces: colour runs, and inside them what the search found. */
import type { Run } from './ansi'

export interface Piece {
  text: string
  classes: string
  hit: boolean
}

export function pieces(runs: readonly Run[], from: number, to: number, needle: string): Piece[] {
  const result: Piece[] = []
  const hits = needle ? hitRanges(runs.map((run) => run.text).join(''), needle) : []
  let begin = 0
  for (const run of runs) {
    const end = begin + run.text.length
    let at = Math.max(begin, from)
    const stop = Math.min(end, to)
    if (at >= stop) {
      begin = end
      continue
    }
    for (const [hitFrom, hitTo] of hits) {
      if (hitTo <= at || hitFrom >= stop) continue
      if (hitFrom > at) result.push({ text: run.text.slice(at - begin, hitFrom - begin), classes: run.classes, hit: false })
      const start = Math.max(at, hitFrom)
      const cut = Math.min(stop, hitTo)
      result.push({ text: run.text.slice(start - begin, cut - begin), classes: run.classes, hit: true })
      at = cut
    }
    if (at < stop) result.push({ text: run.text.slice(at - begin, stop - begin), classes: run.classes, hit: false })
    begin = end
  }
  return result
}

function hitRanges(text: string, needle: string): [number, number][] {
  const ranges: [number, number][] = []
  const pattern = new RegExp(needle.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'gi')
  for (const match of text.matchAll(pattern)) ranges.push([match.index, match.index + match[0].length])
  return ranges
}
