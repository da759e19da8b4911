import { BROKEN_ASKS } from './asks.js'
import { BROKEN_CONNECTIONS } from './connections.js'
import { BROKEN_QUESTIONS } from './questions.js'

export const BROKEN = [...BROKEN_ASKS, ...BROKEN_QUESTIONS, ...BROKEN_CONNECTIONS]
