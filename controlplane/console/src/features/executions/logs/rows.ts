/**
 * Lines as rows of equal height. A text with line breaks, or one wider than the pane when wrapping, takes several rows;
 * where each shown line begins is kept in one growing array, so appending costs only what is appended.
 */
import { inOrder, type LogLine } from './lines'

export interface LogRow {
  line: LogLine
  /** Part of the line's text this row shows. */
  from: number
  to: number
  /** Row within the line; row 0 carries time, level and task. */
  part: number
}

export class RowIndex {
  private shown: LogLine[] = []
  /** The row each shown line begins at. */
  private begins: number[] = []
  private total = 0
  private columns = 0

  get rows(): number {
    return this.total
  }

  /** The shown lines, in order. */
  get lines(): readonly LogLine[] {
    return this.shown
  }

  /** Starts again, wrapping at `columns` characters; 0 = no wrapping. */
  reset(columns: number): void {
    this.columns = columns
    this.shown = []
    this.begins = []
    this.total = 0
  }

  append(line: LogLine): void {
    this.shown.push(line)
    this.begins.push(this.total)
    this.total += this.columns === 0 && !line.text.includes('\n') ? 1 : this.parts(line.text).length
  }

  /** Forgets the shown lines that come after `line`, which is about to be inserted. */
  cutAfter(line: LogLine): void {
    while (this.shown.length > 0 && inOrder(this.shown.at(-1)!, line) > 0) {
      this.shown.pop()
      this.total = this.begins.pop()!
    }
  }

  /** The row a shown line begins at. */
  rowOf(position: number): number {
    return this.begins[position] ?? 0
  }

  slice(first: number, last: number): LogRow[] {
    const rows: LogRow[] = []
    if (this.shown.length === 0) return rows
    for (let position = this.positionAt(first); position < this.shown.length; position++) {
      const begin = this.begins[position]!
      if (begin >= last) break
      const line = this.shown[position]!
      const parts = this.parts(line.text)
      for (let part = Math.max(0, first - begin); part < parts.length && begin + part < last; part++) {
        const [from, to] = parts[part]!
        rows.push({ line, from, to, part })
      }
    }
    return rows
  }

  /** Position of the shown line a row belongs to. */
  private positionAt(row: number): number {
    let low = 0
    let high = this.begins.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.begins[middle]! <= row) low = middle
      else high = middle - 1
    }
    return low
  }

  private parts(text: string): [number, number][] {
    const wrap = this.columns
    if ((wrap === 0 || text.length <= wrap) && !text.includes('\n')) return [[0, text.length]]
    const parts: [number, number][] = []
    let start = 0
    for (;;) {
      const found = text.indexOf('\n', start)
      const end = found < 0 ? text.length : found
      if (wrap === 0 || end - start <= wrap) parts.push([start, end])
      else for (let at = start; at < end; at += wrap) parts.push([at, Math.min(at + wrap, end)])
      if (found < 0) return parts
      start = end + 1
    }
  }
}

/** Where `needle` occurs in the shown lines, ignoring case: positions of lines, once each. */
export function findLines(lines: readonly LogLine[], needle: string, from = 0): number[] {
  if (!needle) return []
  const pattern = new RegExp(needle.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i')
  const found: number[] = []
  for (let position = from; position < lines.length; position++) if (pattern.test(lines[position]!.text)) found.push(position)
  return found
}
