/** Where to go after signing in: only to pages of this console, whatever the address says. */
export function safeReturn(from: unknown): string {
  if (typeof from !== 'string' || !from.startsWith('/') || from.startsWith('//') || from.includes('\\')) return '/'
  return from
}
