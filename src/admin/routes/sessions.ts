import { changes, json, pageOf, refuse, userOf } from '../asked.js'
import { change, NONE, question, type Route } from '../route.js'
import {
  SessionAnswerSchema,
  SessionPageSchema,
  SessionsQuerySchema,
  TerminateSchema,
} from '../schemas/subjects.js'

export const SESSION_ROUTES: readonly Route[] = [
  question(
    {
      method: 'GET',
      path: '/v1/sessions',
      summary: 'The last eight sessions of one user; without `subject`, ended ones of everybody.',
      params: NONE,
      query: SessionsQuerySchema,
      body: NONE,
      answer: { status: 200, schema: SessionPageSchema },
    },
    async ({ query, ports }) => {
      const { issuer, subject } = query
      if (subject === undefined) {
        if (issuer === undefined) return json(ports.sessions.ended(pageOf(query)))
        const message = '`issuer` names nobody without `subject`'
        return refuse({ pointer: ['subject'], code: 'subject-missing', message })
      }
      const user = userOf({ ...query, subject }, ports)
      return user.ok ? json(ports.sessions.ofUser(user.value, pageOf(query))) : user
    },
  ),
  change(
    {
      method: 'POST',
      path: '/v1/sessions/terminate',
      action: 'session.terminate',
      summary: 'Ends a session, or all of a user: refused on the next call on every replica.',
      params: NONE,
      query: NONE,
      body: TerminateSchema,
      answer: { status: 200, schema: SessionAnswerSchema },
      example: { subject: 'dana', reason: 'laptop lost' },
    },
    ({ body, actor, ports }) => {
      const { sessionId, reason } = body
      const user = userOf(body, ports)
      if (!user.ok) return user
      const { issuer, subject } = user.value
      const whose = `${subject} (${issuer})`
      const which = sessionId === undefined ? whose : `${sessionId} of ${whose}`
      return changes(which, reason, { issuer, subject, sessionId }, () =>
        json(ports.sessions.terminate(user.value, sessionId, reason, actor)),
      )
    },
  ),
]
