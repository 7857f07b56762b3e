import { describe, expect, it } from 'vitest'
import { axisTicks, formatAgo, formatDuration, formatElapsed, formatTick, parseDuration } from './format'

describe('durations', () => {
  it('reads the ISO durations the server writes', () => {
    expect(parseDuration('PT0.8S')).toBe(800)
    expect(parseDuration('PT1H2M3.5S')).toBe(3_723_500)
    expect(parseDuration('P1DT1S')).toBe(86_401_000)
    expect(parseDuration('PT')).toBeNull()
    expect(parseDuration('soon')).toBeNull()
  })

  it('says a duration with the unit that fits', () => {
    expect(formatDuration(0)).toBe('0 ms')
    expect(formatDuration(84.4)).toBe('84 ms')
    expect(formatDuration(999.6)).toBe('1.00 s')
    expect(formatDuration(1_250)).toBe('1.25 s')
    expect(formatDuration(42_130)).toBe('42.1 s')
    expect(formatDuration(59_960)).toBe('1 m 00 s')
    expect(formatDuration(187_000)).toBe('3 m 07 s')
    expect(formatDuration(7_500_000)).toBe('2 h 05 m')
    expect(formatDuration(356_400_000)).toBe('4 d 03 h')
  })

  it('does not flicker while something runs', () => {
    expect(formatElapsed(300)).toBe('< 1 s')
    expect(formatElapsed(1_999)).toBe('1 s')
    expect(formatElapsed(61_900)).toBe('1 m 01 s')
  })

  it('says how long ago', () => {
    expect(formatAgo(0, 2_000)).toBe('just now')
    expect(formatAgo(0, 59_000)).toBe('59 s ago')
    expect(formatAgo(0, 7_200_000)).toBe('2 h ago')
    expect(formatAgo(0, 3 * 86_400_000)).toBe('3 d ago')
  })
})

describe('time axis', () => {
  it('has few ticks on round numbers', () => {
    expect(axisTicks(4_200, 6)).toEqual([0, 1_000, 2_000, 3_000, 4_000])
    expect(axisTicks(0, 6)).toEqual([0])
    expect(axisTicks(90 * 86_400_000, 6).length).toBeLessThanOrEqual(7)
  })

  it('labels them shortly', () => {
    expect([0, 200, 5_000, 90_000, 5_400_000].map(formatTick)).toEqual(['0', '200 ms', '5 s', '1 m 30 s', '1 h 30 m'])
  })
})
