import { type Static, Type } from '@sinclair/typebox'
import { Fields, Words } from '../../schema/fields.js'
import { LengthSchema, ReasonSchema, TimeSchema } from './terms.js'

export const LOG_LEVEL_NAMES = ['Debug', 'Info', 'Warn', 'Error'] as const
export type LogLevelName = (typeof LOG_LEVEL_NAMES)[number]

const LevelSchema = Words(LOG_LEVEL_NAMES, { description: 'The least that is written.' })

export const SetLogLevelSchema = Fields({
  level: LevelSchema,
  duration: Type.Optional(LengthSchema),
  reason: ReasonSchema,
})

export const LogLevelAnswerSchema = Fields(
  {
    level: LevelSchema,
    configured: Words(LOG_LEVEL_NAMES, { description: 'What the configuration says.' }),
    until: Type.Optional(TimeSchema),
  },
  { title: 'LogLevel' },
)
export type LogLevelAnswer = Static<typeof LogLevelAnswerSchema>
