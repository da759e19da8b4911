import type { Writable } from 'node:stream'
import { createDecisionIds } from './adapters/decision-ids.js'
import type { AskerCertificate } from './adapters/grpc/asker.js'
import { type GrpcListener, type GrpcListenerOptions, startGrpcListener } from './adapters/grpc/listener.js'
import { isRevokedNow } from './identity/certificate-policy.js'
import { startHealthServer } from './adapters/http/health.js'
import { startPublicServer } from './adapters/http/public.js'
import { createLineSink } from './adapters/line-sink.js'
import { createMetrics } from './adapters/metrics.js'
import { writeSecurityEvent } from './audit/security-event.js'
import { writeSignalEvent } from './audit/signal-event.js'
import { authorize, type Identify, type Lookups } from './authorize.js'
import type { Config, ListenerConfig } from './config/config.js'
import { createCheck } from './ext-authz/check.js'
import { prepareReplies } from './ext-authz/reply.js'
import { identify } from './identity/identify.js'
import type { ReplayGuard } from './identity/replay.js'
import { type LiveTls, openTls, readAllTls, watchTls } from './main/listener-tls.js'
import type { LiveAgent } from './main/live-agent.js'
import { openAssertions } from './main/live-assertions.js'
import { openAdmin } from './main/live-admin.js'
import { openAlertSinks } from './main/alert-sinks.js'
import { openFeedback } from './main/feedback.js'
import { openKeys } from './main/live-keys.js'
import { openPlaces } from './main/live-place.js'
import { openPolicy } from './main/live-policy.js'
import { type LiveSsf, openSsf } from './main/live-ssf.js'
import { openState } from './main/live-state.js'
import { openTrust } from './main/live-trust.js'
import { jsonLog, type Log, messageOf, StartFailure } from './main/log.js'
import { openRecorder } from './main/recorder.js'
import { registerMetrics } from './main/registered-metrics.js'
import { openVerifiers } from './main/verifiers.js'
import { locate } from './risk/locate.js'
import type { StoreHealth } from './state/store.js'
import { recall } from './state/recall.js'
import { writeAlert } from './risk/alerts.js'
import { serviceOfIdentity } from './segmentation/compile.js'

export { StartFailure } from './main/log.js'

export type StartOptions = {
  /** Security events, one a line. */
  readonly events: Writable
  /** Operational log, whole lines. */
  readonly log: (line: string) => void
  /** Instead of the store's: for measuring what a repeated token costs. */
  readonly replayGuard?: ReplayGuard
}

/** How long the record of a signal waits for room, milliseconds. */
const SIGNAL_WAIT_MS = 2000

/** A bundle that comes or a sink that breaks is in grpc.health this much later at most. */
const READINESS_LOOK_MS = 500

/** A Portcullis that answers. */
export type Running = {
  readonly listeners: readonly { readonly name: string; readonly address: string }[]
  /** `host:port` of the health server, where there is one. */
  readonly health: string | undefined
  /** The same of the public server. */
  readonly public: string | undefined
  /** And of the admin API. */
  readonly admin: string | undefined
  /** Drains: not serving, then no new calls, then what was accepted is answered and written. */
  stop(): Promise<void>
}

/**
 * Opens everything a configuration names and listens. Throws StartFailure with every problem of policy, bundles,
 * keys and certificates at once; then nothing listens and nothing is left running.
 */
export async function start(config: Config, options: StartOptions): Promise<Running> {
  const undo: (() => void | Promise<void>)[] = []
  try {
    return await open(config, options, undo)
  } catch (error) {
    await everyStep(undo.toReversed())
    throw error
  }
}

async function open(
  config: Config,
  options: StartOptions,
  undo: (() => void | Promise<void>)[],
): Promise<Running> {
  const nowMs = Date.now
  const log = jsonLog(options.log, nowMs)
  const opening = [
    openPolicy(config, log).then((opened) => closedOnFailure(opened, undo)),
    openTrust({ ...config, jwtSvids: config.serviceTokens.jwtSvid !== undefined }, log, nowMs).then(
      (opened) => closedOnFailure(opened, undo),
    ),
    openKeys(config, log, nowMs).then((opened) => closedOnFailure(opened, undo)),
    readAllTls(config.listeners),
    openAssertions(config.upstreamAssertion, log, nowMs).then((opened) => closedOnFailure(opened, undo)),
    openPlaces(config, log).then((opened) => closedOnFailure(opened, undo)),
  ] as const
  await failWithEveryProblem(opening)
  const [policy, trust, keys, tls, assertions, livePlaces] = await Promise.all(opening)
  const state = await openState(config, log)
  const { store } = state
  undo.push(() => state.close(nowMs()))
  const verifiers = openVerifiers(config, trust, keys, options.replayGuard ?? store.claims)
  for (const [factor, source] of [
    ['impossibleTravel', config.geo],
    ['maliciousIp', config.threats.files[0]],
    ['dataVolume', config.accessLogService.enabled || undefined],
  ] as const) {
    if (source === undefined) log('info', `risk factor without a source: ${factor} never applies`)
  }
  const alertSinks = openAlertSinks(config, state.append, log)
  const feedback = openFeedback({
    store,
    risk: () => policy.current.risk,
    alert: (alert) => alertSinks.send(writeAlert(alert)),
    tell: alertSinks.send,
    accessLogs: config.accessLogService.enabled,
    nowMs,
  })

  const sink = createLineSink({
    stream: options.events,
    bufferLines: config.audit.buffer,
    overflow: config.audit.overflow,
    onBroken: () => tellReadiness(),
  })
  const listeners: { name: string; listener: GrpcListener }[] = []
  let serving = false
  const isReady = (): boolean =>
    serving &&
    (sink.broken === undefined || config.audit.overflow === 'Drop') &&
    // Without it nobody of this mesh could be believed.
    (!config.trustDomains.has(config.trustDomain) || trust.bundles.get(config.trustDomain) !== undefined)
  const tellReadiness = (): void => {
    for (const { listener } of listeners) listener.setServing(isReady())
  }
  const metrics = createMetrics()
  const identifyCaller: Identify = ({ request, listener, nowMs: at }, target, matrix) =>
    identify(request, listener, target, (id) => serviceOfIdentity(matrix, id)?.id, verifiers, at)

  const places = {
    placeOf: (ip: string) => livePlaces.placeOf(ip),
    isMalicious: (ip: string) => livePlaces.isMalicious(ip),
    header: config.geo?.kind === 'header' ? config.geo.name : undefined,
  }
  const lookups: Lookups = {
    identify: identifyCaller,
    recall: (subjects, at) => recall(subjects, store, at),
    locate: ({ request, listener }, identity) => locate(request, listener, identity, places),
    consume: (use) => store.consume(use),
    signals: config.ssf.transmitters.length > 0,
  }
  const admin = await openAdmin(config, {
    store,
    policy,
    lookups,
    record: sink.acceptKept,
    isRevoked: (asker) => isRevokedNow(asker, trust.policy, nowMs()),
    tell: alertSinks.send,
    log,
    nowMs,
  })
  if (admin) undo.push(() => admin.close())
  const ssf = openSsf(
    config,
    keys,
    store,
    { log, audit: (signal) => void sink.accept(writeSignalEvent(signal), SIGNAL_WAIT_MS) },
    nowMs,
  )
  undo.push(() => ssf.close())
  const { given } = feedback
  const recorder = openRecorder(config.audit.record, config.serviceTokens.header, metrics, log)
  registerMetrics({ metrics, policy, sink, keys, trust, verifiers, store, alertSinks, given, ssf })
  const parts = {
    record: (event: Parameters<typeof writeSecurityEvent>[0], waitMs: number) => {
      const line = writeSecurityEvent(event)
      admin?.noteEvent(line)
      return sink.accept(line, waitMs)
    },
    learn: feedback.learn,
    recordCheck: recorder?.record,
    observe: metrics.observe,
    report: (error: unknown) => log('error', 'a decision failed', { problem: stackOf(error) }),
    newDecisionId: createDecisionIds(nowMs),
    revision: () => policy.current.revision,
    serviceTokenHeader: config.serviceTokens.header,
    reply: prepareReplies(
      config.upstreamHeaders,
      {
        stepUpStatus: config.stepUp.status,
        acrValues: config.stepUp.acrValues,
        realm: config.stepUp.realm,
        showMessages: config.showMessages,
      },
      config.upstreamAssertion?.header,
    ),
    mintAssertion: assertions.mint,
    defaultDeadlineMs: config.limits.deadlineMs,
    nowMs,
    clockUs: () => performance.now() * 1000,
  }

  for (const rules of config.listeners) {
    const check = createCheck({
      ...parts,
      listener: rules,
      authorize: (request, asker, at) =>
        (recorder?.authorize ?? authorize)(
          { request, listener: rules, asker, nowMs: at },
          policy.current,
          lookups,
        ),
    })
    const liveTls = await openTls(rules, tls, trust.agents)
    const isRevoked = (asker: AskerCertificate): boolean => isRevokedNow(asker, trust.policy, nowMs())
    const answering = { check, isRevoked, accessLogs: feedback.accessLogs }
    const { listener, watcher } = await listen(rules, liveTls, trust.agents, answering, config, log)
    listeners.push({ name: rules.name, listener })
    undo.push(() => {
      watcher?.close()
      return listener.close()
    })
  }
  const health = config.health.listen
    ? await orStartFailure(
        'health',
        startHealthServer({
          listen: config.health.listen,
          readiness: () => ({
            ready: isReady(),
            detail: {
              revision: policy.current.revision,
              policyProblems: policy.lastProblems,
              trustProblems: trust.health().problems,
              placeProblems: livePlaces.problems(),
              signalProblems: problemsOf(ssf.health()),
              state: stateDetail(store.health()),
              audit: sink.broken ?? 'ok',
            },
          }),
          metrics: metrics.text,
        }),
      )
    : undefined
  if (health) undo.push(() => health.close())
  const publicServer = config.public.listen
    ? await orStartFailure(
        'public',
        startPublicServer({ listen: config.public.listen, jwks: assertions.jwks, events: ssf.push }),
      )
    : undefined
  if (publicServer) undo.push(() => publicServer.close())
  serving = true
  tellReadiness()
  const readinessLook = setInterval(tellReadiness, READINESS_LOOK_MS).unref()
  undo.push(() => clearInterval(readinessLook))
  log('info', 'ready', { listeners: listeners.map(({ name, listener }) => `${name} ${listener.address}`) })

  return {
    listeners: listeners.map(({ name, listener }) => ({ name, address: listener.address })),
    health: health?.address,
    public: publicServer?.address,
    admin: admin?.address,
    stop: () => {
      serving = false
      return everyStep([
        // What it changes is audited, so it ends first.
        () => admin?.close(),
        () => Promise.all(listeners.map(({ listener }) => listener.drain(config.drain))),
        () => sink.drain(config.drain.timeoutMs),
        () => alertSinks.drain(config.drain.timeoutMs),
        () => recorder?.close(),
        () => state.close(nowMs()),
        ...undo.toReversed(),
      ])
    },
  }
}

async function listen(
  rules: ListenerConfig,
  liveTls: LiveTls | undefined,
  agents: ReadonlyMap<string, LiveAgent>,
  answering: Pick<GrpcListenerOptions, 'check' | 'isRevoked' | 'accessLogs'>,
  config: Config,
  log: Log,
): Promise<{ listener: GrpcListener; watcher: { close(): void } | undefined }> {
  const { name, address, tls } = rules
  const listener = await orStartFailure(
    `listener ${name}`,
    startGrpcListener({
      address,
      tls: liveTls && { ...liveTls.material, allowedClients: liveTls.allowedClients },
      ...answering,
      maxMessageBytes: config.limits.maxMessageBytes,
      deadlineMs: config.limits.deadlineMs,
    }),
  )
  const watcher = tls && watchTls(name, tls, agents, (renewed) => listener.updateTls(renewed), log)
  return { listener, watcher }
}

function problemsOf(transmitters: ReturnType<LiveSsf['health']>): string[] {
  return [...transmitters].flatMap(([issuer, { problem }]) =>
    problem === undefined ? [] : [`${issuer}: ${problem}`],
  )
}

function stateDetail({ standing, problem, lostBeforeMs }: StoreHealth): Readonly<Record<string, string>> {
  return {
    standing,
    ...(problem !== undefined && { problem }),
    ...(lostBeforeMs !== undefined && { lostBefore: new Date(lostBeforeMs).toISOString() }),
  }
}

/** Takes every step, whatever the ones before it did; then throws what went wrong. */
async function everyStep(steps: readonly (() => unknown)[]): Promise<void> {
  const failures: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join('; '))
}

/** Ports and directories fail for reasons of the operator's. */
async function orStartFailure<T>(what: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening
  } catch (error) {
    throw new StartFailure([`${what}: ${messageOf(error)}`])
  }
}

/** Waits for all; throws one StartFailure with the problems of all. Any other exception is a bug and stays one. */
async function failWithEveryProblem(openings: readonly Promise<unknown>[]): Promise<void> {
  const settled = await Promise.allSettled(openings)
  const failures = settled.flatMap((each): unknown[] => (each.status === 'rejected' ? [each.reason] : []))
  const bug = failures.find((failure) => !(failure instanceof StartFailure))
  if (bug !== undefined) throw bug
  const problems = failures.flatMap((failure) => (failure instanceof StartFailure ? failure.problems : []))
  if (problems.length > 0) throw new StartFailure(problems)
}

function closedOnFailure<T extends { close(): void }>(opened: T, undo: (() => void)[]): T {
  undo.push(() => opened.close())
  return opened
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
