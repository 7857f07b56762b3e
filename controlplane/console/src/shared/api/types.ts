/** The documents views work with, under the names people use. All of them come from the generated description of our API. */
import type { components } from '@/generated/api'

type Schemas = components['schemas']

export type StateChange = Schemas['StateChange']
export type StateInfo = Schemas['State']
export type Failure = Schemas['Failure']
export type Attempt = Schemas['TaskRunAttempt']
/** What a running attempt says about itself; not stored. */
export type Progress = Schemas['Progress']
export type TaskRun = Schemas['TaskRun']
export type Label = Schemas['Label']
/** A row of a search: no task runs, no variables. */
export type LightExecution = Schemas['ExecutionSummary']
export type Execution = Schemas['Execution']
export type Level = Schemas['Level']
export type LogEntry = Schemas['LogEntry']
export type Flow = Schemas['Flow']
export type Me = Schemas['Me']
