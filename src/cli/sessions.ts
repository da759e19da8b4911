import type { Command } from 'commander'
import { SessionAnswerSchema, SessionPageSchema, type SessionAnswer } from '../admin/schemas/subjects.js'
import {
  adminCommand,
  adminGroup,
  outputOption,
  print,
  reasonOption,
  refused,
  withApi,
  type AdminOptions,
} from './admin/command.js'
import { addConnectionOptions } from './admin/connection.js'
import { lenient } from './admin/lenient.js'
import { allPages, limitOption, moreNote } from './admin/pages.js'
import { printable } from './admin/printable.js'
import { issuerColumn, table } from './admin/table.js'
import { fullTime, relativeTime } from './admin/times.js'
import type { CliIo } from './io.js'
import { styleOf } from './style.js'

type ListOptions = AdminOptions & {
  readonly issuer?: string
  readonly subject?: string
  readonly limit: number
}
type EndOptions = AdminOptions & {
  readonly issuer?: string
  readonly subject: string
  readonly session?: string
  readonly reason: string
}

const Session = lenient(SessionAnswerSchema)
const SessionPage = lenient(SessionPageSchema)

const END_EXAMPLE = "portcullis sessions end --subject ada --reason 'lost her phone'"

/** `portcullis sessions`: list, end. */
export function register(program: Command, io: CliIo): void {
  const group = adminGroup(program, 'sessions', 'sessions of users: look at them, end them', END_EXAMPLE)
  adminCommand(
    group,
    'list',
    "a user's sessions; without --subject those of everybody that were ended",
    'portcullis sessions list --subject ada',
  )
    .option('--subject <sub>', 'sub of the user')
    .option('--issuer <iss>', 'issuer of the user; may be left out where only one is configured')
    .addOption(limitOption())
    .addOption(outputOption())
    .action((options: ListOptions) => list(options, io))
  adminCommand(group, 'end', "end a user's sessions: their next call is refused", END_EXAMPLE)
    .requiredOption('--subject <sub>', 'sub of the user')
    .option('--issuer <iss>', 'issuer of the user; may be left out where only one is configured')
    .option('--session <sid>', 'only this one; default: every session that has begun by now')
    .addOption(reasonOption())
    .addOption(outputOption())
    .action((options: EndOptions) => end(options, io))
  addConnectionOptions(group)
}

function list(options: ListOptions, io: CliIo): Promise<void> {
  const { issuer, subject, limit } = options
  return withApi(options, io, async (api) => {
    const request = { method: 'GET' as const, path: '/v1/sessions', query: { issuer, subject } }
    const listed = await allPages(
      api,
      request,
      SessionPage,
      ({ sessions, next }) => ({ rows: sessions, next }),
      limit,
    )
    if (!listed.ok) return refused(listed, io)
    const { rows, more } = listed.value
    print({ ok: true, value: { sessions: rows, more } }, options, io, () => {
      if (rows.length > 0) return sessionTable(rows, io) + moreNote(listed.value)
      return subject === undefined
        ? 'No session was ended.\n'
        : `No session of ${printable(subject)} is known.\n`
    })
  })
}

function sessionTable(sessions: readonly SessionAnswer[], io: CliIo): string {
  const nowMs = Date.now()
  const { good, bad } = styleOf(io)
  const ago = (time: string | undefined): string => (time === undefined ? '' : relativeTime(time, nowMs))
  return table<SessionAnswer>(sessions, [
    { title: 'SUBJECT', of: ({ subject }) => subject },
    ...issuerColumn(sessions),
    { title: 'SESSION', of: ({ sessionId }) => sessionId ?? 'every one' },
    {
      title: 'STATE',
      of: ({ state }) => state,
      paint: ({ state }, cell) => (state === 'active' ? good(cell) : bad(cell)),
    },
    { title: 'STARTED', of: ({ startedAt }) => ago(startedAt) },
    { title: 'LAST SEEN', of: ({ lastSeenAt }) => ago(lastSeenAt) },
    { title: 'ENDED', of: ({ endedAt }) => ago(endedAt) },
    { title: 'BY', of: ({ endedBy }) => endedBy ?? '', mayBeCut: true },
    { title: 'REASON', of: ({ reason }) => reason ?? '', mayBeCut: true },
  ])
}

function end(options: EndOptions, io: CliIo): Promise<void> {
  const { issuer, subject, session, reason } = options
  return withApi(options, io, async (api) => {
    const body = { issuer, subject, sessionId: session, reason }
    const ended = await api.ask({ method: 'POST', path: '/v1/sessions/terminate', body }, Session)
    print(ended, options, io, (answer) => {
      const which = answer.sessionId === undefined ? 'Every session' : `Session ${answer.sessionId}`
      const at = answer.endedAt === undefined ? '' : ` since ${fullTime(answer.endedAt, Date.now())}`
      return `${printable(`${which} of ${answer.subject} (${answer.issuer}) is ${answer.state}${at}.`)}\n`
    })
  })
}
