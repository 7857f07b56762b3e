import { describe, expect, it } from 'vitest'
import { ansiRuns, stripAnsi } from './ansi'
import { pieces } from './marks'

const E = '\u001b'

describe('colours of log lines', () => {
  it('become class names', () => {
    expect(ansiRuns(`plain ${E}[1;31mred${E}[0m end`)).toEqual([
      { text: 'plain ', classes: '' },
      { text: 'red', classes: 'fg-red bold' },
      { text: ' end', classes: '' },
    ])
  })

  it('of 256 and of 16 million become the nearest of eight', () => {
    expect(ansiRuns(`${E}[38;5;196mx${E}[38;2;10;200;30my`).map((run) => run.classes)).toEqual(['fg-red', 'fg-green'])
  })

  it('never let markup or foreign sequences through', () => {
    const hostile = `${E}]8;;https://elsewhere.example${E}\\<img src=x onerror=alert(1)>${E}]8;;${E}\\${E}[2J${E}[?25lok`
    expect(stripAnsi(hostile)).toBe('<img src=x onerror=alert(1)>ok')
    expect(ansiRuns(hostile).map((run) => run.text).join('')).toBe(stripAnsi(hostile))
  })

  it('a broken sequence at the end is dropped', () => {
    expect(stripAnsi(`text${E}`)).toBe('text')
    expect(ansiRuns(`text${E}`).map((run) => run.text).join('')).toBe('text')
  })
})

describe('search marks', () => {
  it('cut runs without losing a character', () => {
    const runs = ansiRuns(`one ${E}[32mtwo th${E}[0mree two`)
    const cut = pieces(runs, 0, 17, 'two')
    expect(cut.map((piece) => piece.text).join('')).toBe('one two three two')
    expect(cut.filter((piece) => piece.hit).map((piece) => piece.text)).toEqual(['two', 'two'])
  })

  it('span colours and wrapped rows', () => {
    const runs = ansiRuns(`ab${E}[31mcd${E}[0mef`)
    expect(pieces(runs, 0, 6, 'bcde').filter((piece) => piece.hit).map((piece) => piece.text)).toEqual(['b', 'cd', 'e'])
    expect(pieces(runs, 3, 6, 'bcde')).toEqual([
      { text: 'd', classes: 'fg-red', hit: true },
      { text: 'e', classes: '', hit: true },
      { text: 'f', classes: '', hit: false },
    ])
  })
})
