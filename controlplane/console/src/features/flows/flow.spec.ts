import { describe, expect, it } from 'vitest'
import { choices, editable, inputProblem } from './flow'

describe('inputs of a flow', () => {
  it('are refused at the field with the rule named', () => {
    expect(inputProblem({ id: 'n', type: 'INT', required: true }, '')).toBe('n is required.')
    expect(inputProblem({ id: 'n', type: 'INT', min: 1 }, '0')).toBe('n must be at least 1.')
    expect(inputProblem({ id: 'n', type: 'INT' }, '1.5')).toBe('n must be a whole number.')
    expect(inputProblem({ id: 'n', type: 'FLOAT' }, 'x')).toBe('n must be a number.')
    expect(inputProblem({ id: 'j', type: 'JSON' }, '{')).toBe('j must be valid JSON.')
    expect(inputProblem({ id: 'a', type: 'ARRAY' }, '{}')).toBe('a must be a list, e.g. ["a", "b"].')
  })

  it('with a default may stay empty', () => {
    expect(inputProblem({ id: 'n', type: 'INT', defaults: 3 }, '')).toBe('')
    expect(inputProblem({ id: 'n', type: 'STRING', required: false }, '')).toBe('')
  })

  it('show defaults and choices as text', () => {
    expect([editable('x'), editable(3), editable(['a'])]).toEqual(['x', '3', '[\n  "a"\n]'])
    expect(choices({ id: 's', type: 'SELECT', values: ['a', { value: 'b', label: 'Bee' }] })).toEqual([
      { value: 'a', label: 'a' },
      { value: 'b', label: 'Bee' },
    ])
  })
})
