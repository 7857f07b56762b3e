/** The typed client of the REST API, and refusals as one kind of error. */
import createClient, { type Middleware } from 'openapi-fetch'
import type { paths } from '@/generated/api'

/** A request the server refused, or that did not reach it (`status` 0). */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code: string = '',
    readonly requestId: string = '',
    readonly errors: readonly { message: string; path?: string }[] = [],
  ) {
    super(message)
  }
}

let onSignedOut: () => void = () => undefined

/** Called when the server says that nobody is signed in. */
export function whenSignedOut(handler: () => void): void {
  onSignedOut = handler
}

/** Stream readers meet refusals outside the client. */
export function reportSignedOut(): void {
  onSignedOut()
}

function csrfToken(): string {
  const cookie = /(?:^|;\s*)csrfToken=([^;]+)/.exec(document.cookie)
  if (cookie?.[1]) return decodeURIComponent(cookie[1])
  return document.querySelector('meta[name="csrf-token"]')?.getAttribute('content') ?? ''
}

const session: Middleware = {
  onRequest({ request }) {
    if (!['GET', 'HEAD'].includes(request.method)) request.headers.set('X-CSRF-TOKEN', csrfToken())
    return request
  },
  onResponse({ request, response }) {
    const path = new URL(request.url).pathname
    if (response.status === 401 && !path.endsWith('/login') && !path.endsWith('/me')) onSignedOut()
  },
}

export const api = createClient<paths>({ credentials: 'same-origin', headers: { accept: 'application/json' } })
api.use(session)

/** The body of an answer. Raises ApiProblem for a refusal and for a server that does not answer. */
export async function read<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  let answer: Awaited<typeof call>
  try {
    answer = await call
  } catch {
    throw new ApiProblem(0, 'The server cannot be reached.', 'client.unreachable')
  }
  if (answer.response.ok) return answer.data as T
  throw problemOf(answer.response, answer.error)
}

function problemOf(response: Response, body: unknown): ApiProblem {
  const requestId = response.headers.get('x-request-id') ?? ''
  if (typeof body === 'object' && body !== null) {
    const { detail, message, code, errors } = body as Record<string, unknown>
    const text = typeof detail === 'string' ? detail : typeof message === 'string' ? message : `The server answered ${response.status}.`
    return new ApiProblem(
      response.status,
      text,
      typeof code === 'string' ? code : '',
      requestId,
      Array.isArray(errors) ? (errors as { message: string; path?: string }[]) : [],
    )
  }
  return new ApiProblem(response.status, `The server answered ${response.status}.`, '', requestId)
}
