/** Server-sent events as bytes arrive: text in, whole frames out. The frame's name travels in `id:`. */
export interface Frame {
  id: string
  data: string
}

export class FrameParser {
  private rest = ''
  private id = ''
  private data: string[] = []

  /** Takes the next piece of the stream, cut anywhere, and returns the frames it completes. */
  push(piece: string): Frame[] {
    const frames: Frame[] = []
    const text = this.rest + piece
    let start = 0
    for (;;) {
      const end = text.indexOf('\n', start)
      if (end < 0) break
      const line = text.charCodeAt(end - 1) === 13 && end > start ? text.slice(start, end - 1) : text.slice(start, end)
      start = end + 1
      this.line(line, frames)
    }
    this.rest = start === 0 ? text : text.slice(start)
    return frames
  }

  private line(line: string, frames: Frame[]): void {
    if (line === '') {
      if (this.data.length > 0) frames.push({ id: this.id, data: this.data.join('\n') })
      this.id = ''
      this.data = []
    } else if (line.startsWith('data:')) {
      this.data.push(line.charAt(5) === ' ' ? line.slice(6) : line.slice(5))
    } else if (line.startsWith('id:')) {
      this.id = line.slice(3).trim()
    }
    // Comments (`: …`) and other fields only show that the stream is alive.
  }
}
