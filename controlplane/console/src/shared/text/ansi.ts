/**
 * ANSI colours of log lines, made safe: text and class names only, never markup. Unknown sequences are dropped.
 */
export interface Run {
  text: string
  /** Class names: `fg-red`, `bold`, `dim`, `italic`, `underline`; empty for plain text. */
  classes: string
}

const ESCAPE = '\u001b'
// CSI (colours, cursor), OSC (titles, links) and two-character sequences.
const SEQUENCE = /\u001b(?:\[([0-?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])/g
const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const

/** The text without its escape sequences. */
export function stripAnsi(text: string): string {
  return text.includes(ESCAPE) ? text.replace(SEQUENCE, '').replaceAll(ESCAPE, '') : text
}

/** Splits a line into runs of equal style; the texts together are `stripAnsi(text)`. */
export function ansiRuns(text: string): Run[] {
  if (!text.includes(ESCAPE)) return [{ text, classes: '' }]
  const runs: Run[] = []
  const style = new Style()
  let start = 0
  const take = (end: number): void => {
    const plain = text.slice(start, end).replaceAll(ESCAPE, '')
    if (!plain) return
    const classes = style.classes()
    const last = runs.at(-1)
    if (last && last.classes === classes) last.text += plain
    else runs.push({ text: plain, classes })
  }
  for (const match of text.matchAll(SEQUENCE)) {
    take(match.index)
    start = match.index + match[0].length
    if (match[2] === 'm') style.apply((match[1] ?? '').split(/[;:]/).map((code) => Number(code) || 0))
  }
  take(text.length)
  return runs.length > 0 ? runs : [{ text: '', classes: '' }]
}

class Style {
  private colour = ''
  private marks = new Set<string>()

  classes(): string {
    return [this.colour && `fg-${this.colour}`, ...this.marks].filter(Boolean).join(' ')
  }

  apply(codes: number[]): void {
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i] ?? 0
      if (code === 0) {
        this.colour = ''
        this.marks.clear()
      } else if (code === 1) this.marks.add('bold')
      else if (code === 2) this.marks.add('dim')
      else if (code === 3) this.marks.add('italic')
      else if (code === 4) this.marks.add('underline')
      else if (code === 22) {
        this.marks.delete('bold')
        this.marks.delete('dim')
      } else if (code === 23) this.marks.delete('italic')
      else if (code === 24) this.marks.delete('underline')
      else if (code >= 30 && code <= 37) this.colour = COLOURS[code - 30] ?? ''
      else if (code >= 90 && code <= 97) this.colour = COLOURS[code - 90] ?? ''
      else if (code === 39) this.colour = ''
      else if (code === 38 || code === 48) {
        // 256 colours and true colour: read to the end of the group; shown as the nearest of our eight, so that it stays legible in both themes.
        const [colour, used] = extended(codes, i + 1)
        if (code === 38) this.colour = colour
        i += used
      }
    }
  }
}

function extended(codes: number[], at: number): [string, number] {
  if (codes[at] === 5) {
    const index = codes[at + 1] ?? 0
    if (index < 16) return [COLOURS[index % 8] ?? '', 2]
    if (index >= 232) return [index < 244 ? 'black' : 'white', 2]
    const cube = index - 16
    const level = (n: number): number => (n === 0 ? 0 : 55 + n * 40)
    return [nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)), 2]
  }
  if (codes[at] === 2) return [nearest(codes[at + 1] ?? 0, codes[at + 2] ?? 0, codes[at + 3] ?? 0), 4]
  return ['', 0]
}

function nearest(red: number, green: number, blue: number): string {
  const top = Math.max(red, green, blue)
  if (top - Math.min(red, green, blue) < 40) return top < 128 ? 'black' : 'white'
  const half = top / 2
  return COLOURS[(red > half ? 1 : 0) + (green > half ? 2 : 0) + (blue > half ? 4 : 0)] ?? ''
}
