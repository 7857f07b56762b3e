/** Times and durations in words. Milliseconds inside; ISO 8601 at the border. */

const ISO_DURATION = /^(-)?P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/

/** Milliseconds of an ISO 8601 duration of days or less; null when it is not one. */
export function parseDuration(text: string): number | null {
  const match = ISO_DURATION.exec(text)
  if (!match || text.endsWith('P') || text.endsWith('T')) return null
  const [, sign, days, hours, minutes, seconds] = match
  const total = (Number(days ?? 0) * 86_400 + Number(hours ?? 0) * 3_600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0)) * 1_000
  return sign ? -total : total
}

/** A duration as people say it: `84 ms`, `1.25 s`, `42.1 s`, `3 m 07 s`, `2 h 05 m`, `4 d 03 h`. */
export function formatDuration(ms: number): string {
  const value = Math.max(0, ms)
  if (value < 999.5) return `${Math.round(value)} ms`
  if (value < 9_995) return `${(value / 1_000).toFixed(2)} s`
  if (value < 59_950) return `${(value / 1_000).toFixed(1)} s`
  const seconds = Math.round(value / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`
  const hours = Math.floor(minutes / 60)
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`
}

/** A running duration, which changes while one looks: whole seconds above one second, so that it does not flicker. */
export function formatElapsed(ms: number): string {
  if (ms < 1_000) return '< 1 s'
  if (ms < 60_000) return `${Math.floor(ms / 1_000)} s`
  return formatDuration(Math.floor(ms / 1_000) * 1_000)
}

/** How long ago, rounded to the largest unit. */
export function formatAgo(then: number, now: number): string {
  const seconds = Math.round((now - then) / 1_000)
  if (seconds < 5) return 'just now'
  if (seconds < 60) return `${seconds} s ago`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ago`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ago`
  return `${Math.floor(hours / 24)} d ago`
}

/** `14:03:22` in the viewer's zone. */
export function formatClock(ms: number): string {
  const at = new Date(ms)
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

/** `14:03:22.417` in the viewer's zone: log lines. */
export function formatClockMillis(ms: number): string {
  return `${formatClock(ms)}.${String(new Date(ms).getMilliseconds()).padStart(3, '0')}`
}

/** `2026-01-05 14:03:22` in the viewer's zone. */
export function formatDateTime(ms: number): string {
  const at = new Date(ms)
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${formatClock(ms)}`
}

let zone = ''

/** Date, time with milliseconds and the zone's name: tooltips. */
export function formatFull(ms: number): string {
  zone ||= Intl.DateTimeFormat().resolvedOptions().timeZone
  return `${formatDateTime(ms)}.${String(new Date(ms).getMilliseconds()).padStart(3, '0')} ${zone}`
}

/** Steps a time axis may have, in milliseconds. */
const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000,
  3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000,
]

/** Offsets of the ticks of an axis of `span` milliseconds, at most `most` of them after zero, on round numbers. */
export function axisTicks(span: number, most: number): number[] {
  if (!(span > 0)) return [0]
  const step = STEPS.find((candidate) => span / candidate <= most) ?? Math.ceil(span / most / 86_400_000) * 86_400_000
  const ticks: number[] = []
  for (let at = 0; at <= span; at += step) ticks.push(at)
  return ticks
}

/** The label of an axis tick: `0`, `200 ms`, `5 s`, `2 m`, `1 h 30 m`. */
export function formatTick(ms: number): string {
  if (ms === 0) return '0'
  if (ms < 1_000) return `${ms} ms`
  if (ms < 60_000) return `${ms / 1_000} s`
  const hours = Math.floor(ms / 3_600_000)
  const minutes = Math.floor((ms % 3_600_000) / 60_000)
  const seconds = Math.round((ms % 60_000) / 1_000)
  return [hours ? `${hours} h` : '', minutes ? `${minutes} m` : '', seconds ? `${seconds} s` : ''].filter(Boolean).join(' ')
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
