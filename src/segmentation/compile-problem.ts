import type { Pointer } from '../schema/problem.js'
import type { BaselinePolicy } from './baseline-policy.js'
import type { ServicePolicy } from './service-policy.js'

/** A document that fits its schema, and where its parts were written. */
export type PolicyDocument = (
  Pick<ServicePolicy, 'kind' | 'metadata' | 'spec'> | Pick<BaselinePolicy, 'kind' | 'metadata' | 'spec'>
) & {
  /** Which document of the input it is; problems name it. */
  readonly index: number
  /** `file:line:column` of one of its parts. Called only for what the matrix keeps. */
  sourceOf(pointer: Pointer): string
}

export type ServiceDocument = Extract<PolicyDocument, { kind: 'ServicePolicy' }>
export type BaselineDocument = Extract<PolicyDocument, { kind: 'BaselinePolicy' }>

/** What a document's author got wrong or should look at. */
export type CompileProblem = {
  /** `index` of the document. */
  readonly document: number
  readonly pointer: Pointer
  readonly severity: 'error' | 'warning'
  readonly code: string
  readonly message: string
}

export type Report = (pointer: Pointer, message: string, code: string) => void
