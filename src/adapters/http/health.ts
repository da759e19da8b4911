import { type Answer, type GetServer, send, startGetServer } from './get-server.js'

export type HealthOptions = {
  readonly listen: { readonly host: string; readonly port: number }
  /** Asked on every probe; `detail` is for an operator to read. */
  readonly readiness: () => Readiness | Promise<Readiness>
  /** Everything measured, in the form that an `Accept` header prefers. */
  readonly metrics: (accept: string | undefined) => MetricsText | Promise<MetricsText>
}

export type Readiness = { readonly ready: boolean; readonly detail: Readonly<Record<string, unknown>> }

type MetricsText = { readonly contentType: string; readonly body: string }

const TEXT = 'text/plain; charset=utf-8'

/** Serves /livez, which says that the process answers, /readyz, whether it decides, and /metrics. */
export function startHealthServer({ listen, readiness, metrics }: HealthOptions): Promise<GetServer> {
  const answer = (type: string): Readonly<Record<string, string>> => ({
    'content-type': type,
    'cache-control': 'no-store',
  })
  const answers: [string, Answer][] = [
    ['/livez', (response) => send(response, 200, answer(TEXT), 'ok\n')],
    [
      '/readyz',
      async (response) => {
        const { ready, detail } = await readiness()
        const body = `${JSON.stringify({ ready, ...detail })}\n`
        send(response, ready ? 200 : 503, answer('application/json'), body)
      },
    ],
    [
      '/metrics',
      async (response) => {
        const { contentType, body } = await metrics(response.req.headers.accept)
        send(response, 200, { ...answer(contentType), vary: 'accept' }, body)
      },
    ],
  ]
  return startGetServer(listen, new Map(answers))
}
