import { describe, expect, it } from 'vitest'
import { FrameParser } from './frames'

const STREAM = 'id: start\ndata: {}\n\n: keep-alive\n\nid: progress\r\ndata: {"a":\r\ndata: 1}\r\n\r\nid: end\ndata: {"b":"ü"}\n\n'

describe('event stream', () => {
  it('gives the same frames wherever the bytes are cut', () => {
    const whole = new FrameParser().push(STREAM)
    expect(whole).toEqual([
      { id: 'start', data: '{}' },
      { id: 'progress', data: '{"a":\n1}' },
      { id: 'end', data: '{"b":"ü"}' },
    ])
    for (let size = 1; size < 12; size++) {
      const parser = new FrameParser()
      const frames = []
      for (let at = 0; at < STREAM.length; at += size) frames.push(...parser.push(STREAM.slice(at, at + size)))
      expect(frames).toEqual(whole)
    }
  })

  it('keeps an unfinished frame to itself', () => {
    const parser = new FrameParser()
    expect(parser.push('id: progress\ndata: {"half"')).toEqual([])
    expect(parser.push(':true}\n')).toEqual([])
    expect(parser.push('\n')).toEqual([{ id: 'progress', data: '{"half":true}' }])
  })
})
