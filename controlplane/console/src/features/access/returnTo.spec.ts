import { describe, expect, it } from 'vitest'
import { safeReturn } from './returnTo'

describe('the address after signing in', () => {
  it('is the one that was asked for', () => {
    expect(safeReturn('/main/executions?page=2')).toBe('/main/executions?page=2')
  })

  it('is never elsewhere', () => {
    for (const hostile of ['https://elsewhere.example/', '//elsewhere.example', '/\\elsewhere.example', 'javascript:alert(1)', null, ['/a']]) {
      expect(safeReturn(hostile)).toBe('/')
    }
  })
})
