import { sound } from './asked.js'
import { openApiDocument } from './openapi.js'
import { NONE, question, type Route } from './route.js'
import { DECISION_ROUTES } from './routes/decisions.js'
import { DEVICE_ROUTES } from './routes/devices.js'
import { GRANT_ROUTES } from './routes/grants.js'
import { LOG_LEVEL_ROUTES } from './routes/log-level.js'
import { RISK_ROUTES } from './routes/risk.js'
import { SESSION_ROUTES } from './routes/sessions.js'

const API_ROUTES = [
  ...DECISION_ROUTES,
  ...GRANT_ROUTES,
  ...SESSION_ROUTES,
  ...DEVICE_ROUTES,
  ...RISK_ROUTES,
  ...LOG_LEVEL_ROUTES,
]

const OPENAPI_ROUTE: Route = question(
  {
    method: 'GET',
    path: '/openapi.json',
    summary: 'This document.',
    params: NONE,
    query: NONE,
    body: NONE,
    answer: { status: 200, mediaTypes: ['application/json'] },
  },
  async () => sound({ kind: 'json', status: 200, body: OPENAPI_DOCUMENT }),
)

/** Everything that the API serves. */
export const ROUTES: readonly Route[] = [...API_ROUTES, OPENAPI_ROUTE]

export const OPENAPI_DOCUMENT = openApiDocument(ROUTES)

/** Methods that are served at a path, however its parameters are; empty where nothing is. */
export function methodsAt(path: string): readonly string[] {
  const steps = path.split('/')
  const methods = ROUTES.filter((route) => {
    const own = route.path.split('/')
    return (
      own.length === steps.length &&
      own.every((step, index) => (step.startsWith(':') ? steps[index] !== '' : step === steps[index]))
    )
  }).map(({ method }) => method)
  return [...new Set(methods)]
}
