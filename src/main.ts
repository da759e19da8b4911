import type { Writable } from 'node:stream'
import { createDecisionIds } from './adapters/decision-ids.js'
import type { AskerCertificate } from './adapters/grpc/asker.js'
import type { GrpcListener } from './adapters/grpc/listener.js'
import { Turns } from './adapters/grpc/turns.js'
import { isRevokedNow } from './identity/certificate-policy.js'
import { andThen } from './identity/eventually.js'
import { type Readiness, startHealthServer } from './adapters/http/health.js'
import { startPublicServer } from './adapters/http/public.js'
import { answerMetrics } from './adapters/telemetry/accepted.js'
import type { Family } from './adapters/telemetry/family.js'
import { RecentDecisions } from './admin/recent-decisions.js'
import { writeSecurityEvent } from './audit/security-event.js'
import { writeSignalEvent } from './audit/signal-event.js'
import { authorize, type Identify, type Lookups } from './authorize.js'
import type { Config } from './config/config.js'
import { createCheck } from './ext-authz/check.js'
import { UsualTime } from './ext-authz/overload.js'
import { prepareReplies } from './ext-authz/reply.js'
import { identify } from './identity/identify.js'
import type { ReplayGuard } from './identity/replay.js'
import { openTls, readAllTls } from './main/listener-tls.js'
import { counted, listen } from './main/listening.js'
import { openAssertions, type PublishedKey } from './main/live-assertions.js'
import { type AdminParts, openAdmin } from './main/live-admin.js'
import { openWebhook } from './main/live-webhook.js'
import { openAlertSinks } from './main/alert-sinks.js'
import { countClosedConnections } from './main/closed-connections.js'
import { openAuditTrail } from './main/audit-trail.js'
import { openDetector } from './main/detector.js'
import { createExpiries } from './main/expiries.js'
import { openFeedback } from './main/feedback.js'
import { openKeys } from './main/live-keys.js'
import { openPlaces } from './main/live-place.js'
import { openPolicy } from './main/live-policy.js'
import { openSsf } from './main/live-ssf.js'
import { openState } from './main/live-state.js'
import { openTrust } from './main/live-trust.js'
import { type LiveLog, openLog } from './main/log.js'
import { auditDetail, problemsOf, stateDetail } from './main/readiness-detail.js'
import { openRecorder } from './main/recorder.js'
import { closedOnFailure, everyStep, failWithEveryProblem, orStartFailure } from './main/start-steps.js'
import { openTelemetry } from './main/telemetry.js'
import { registerClosedConnections } from './main/metrics/connections.js'
import { registerMetrics } from './main/registered-metrics.js'
import { openVerifiers } from './main/verifiers.js'
import { warmUp } from './main/warm-up.js'
import type { Team } from './main/workers/team.js'
import { locate } from './risk/locate.js'
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
  /** Those that this process answers together with; undefined: it answers alone. */
  readonly team?: Team
}

/** Security events kept for those who look; about a kilobyte each. */
const RECENT_EVENTS = 1000

/** How long the record of a signal waits for room, milliseconds. */
const SIGNAL_WAIT_MS = 2000

/** Of the time that calls are given: once they wait this long before they are read, known callers come first. */
const STRAINED_SHARE = 0.25

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
  /** And of the webhook. */
  readonly webhook: string | undefined
  /** What /readyz tells, for who asks in another way. */
  readonly readiness: () => Readiness
  /** What /metrics tells. */
  readonly families: () => Family[]
  /** The last security events; undefined where nobody could look at them. */
  readonly recent: RecentDecisions | undefined
  /** Public keys of assertions. */
  readonly publishedKeys: () => readonly PublishedKey[]
  readonly log: Pick<LiveLog, 'setLevel' | 'of'>
  /** Writes every detail into the log, or no longer. */
  toggleDebug(): void
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
  const { team } = options
  const isFirst = team === undefined || team.number === 1
  const liveLog = openLog(options.log, config.log.level, nowMs, team && { worker: team.number })
  undo.push(() => liveLog.close())
  const log = liveLog.of('server')
  const expiries = createExpiries()
  let isService = (_name: string): boolean => false
  const opening = [
    openPolicy(config, liveLog.of('policy')).then((opened) => closedOnFailure(opened, undo)),
    openTrust(
      { ...config, jwtSvids: config.serviceTokens.jwtSvid !== undefined },
      liveLog.of('trust'),
      nowMs,
    ).then((opened) => closedOnFailure(opened, undo)),
    openKeys(config, liveLog.of('keys'), nowMs).then((opened) => closedOnFailure(opened, undo)),
    readAllTls(config.listeners),
    openAssertions(config.upstreamAssertion, liveLog.of('assertions'), nowMs).then((opened) =>
      closedOnFailure(opened, undo),
    ),
    openPlaces(config, liveLog.of('places')).then((opened) => closedOnFailure(opened, undo)),
    Promise.resolve()
      .then(() => openTelemetry(config.telemetry, liveLog, (name) => isService(name), nowMs))
      .then((opened) => closedOnFailure(opened, undo)),
  ] as const
  await failWithEveryProblem(opening)
  const [policy, trust, keys, tls, assertions, livePlaces, telemetry] = await Promise.all(opening)
  isService = (name) => policy.current.matrix.services.has(name)
  const state = await openState(config, liveLog.of('state'), team?.storePath)
  const { store } = state
  const turns = new Turns()
  const usualTime = new UsualTime(config.limits.deadlineMs)
  undo.push(() => state.close(nowMs()))
  const verifiers = openVerifiers(config, trust, keys, options.replayGuard ?? store.claims, {
    dpopNonceKey: team?.dpopNonceKey,
    strained: () => turns.lastMs > usualTime.ms * STRAINED_SHARE,
    usualTime,
  })
  for (const [factor, source] of [
    ['impossibleTravel', config.geo],
    ['maliciousIp', config.threats.files[0]],
    ['dataVolume', config.accessLogService.enabled || undefined],
  ] as const) {
    if (source === undefined) log('info', `risk factor without a source: ${factor} never applies`)
  }
  const alertSinks = openAlertSinks(config, state.append, liveLog.everyLineOf('alerts'))
  const feedback = openFeedback({
    store,
    risk: () => policy.current.risk,
    alert: (alert) => alertSinks.send(writeAlert(alert)),
    tell: alertSinks.send,
    accessLogs: config.accessLogService.enabled,
    nowMs,
  })

  const trail = await openAuditTrail(config, {
    events: options.events,
    appendEntries: state.appendEntries,
    classification: (name) => policy.current.classifications.get(name)?.audit,
    tell: alertSinks.send,
    onBroken: () => tellReadiness(),
    log: liveLog.of('audit'),
    nowMs,
  })
  undo.push(() => trail.drain(0))

  const listeners: { name: string; listener: GrpcListener }[] = []
  let serving = false
  const isReady = (): boolean =>
    serving &&
    trail.isWriting() &&
    // Without it nobody of this mesh could be believed.
    (!config.trustDomains.has(config.trustDomain) || trust.bundles.get(config.trustDomain) !== undefined)
  const tellReadiness = (): void => {
    for (const { listener } of listeners) listener.setServing(isReady())
  }
  const { metrics } = telemetry
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
  const recent = config.admin ? new RecentDecisions(RECENT_EVENTS) : undefined
  const adminParts: Omit<AdminParts, 'recent'> = {
    store,
    policy,
    lookups,
    record: (line, waitMs) => trail.acceptKept({ line, classification: undefined, atMs: nowMs() }, waitMs),
    isRevoked: (asker) => isRevokedNow(asker, trust.policy, nowMs()),
    tell: alertSinks.send,
    noteCertificate: (pem) => expiries.note('admin', pem),
    others: team?.others,
    liveLog,
    log: liveLog.of('admin'),
    nowMs,
  }
  const admin = recent && isFirst ? await openAdmin(config, { ...adminParts, recent }) : undefined
  if (admin) undo.push(() => admin.close())
  const webhook =
    config.webhook && policy.judge && isFirst
      ? await openWebhook(config.webhook, {
          judge: policy.judge,
          log: liveLog.of('webhook'),
          noteCertificate: (pem) => expiries.note('webhook', pem),
        })
      : undefined
  if (webhook) undo.push(() => webhook.close())
  const ssf = openSsf(
    isFirst ? config : { ...config, ssf: { ...config.ssf, transmitters: [] } },
    keys,
    store,
    {
      log: liveLog.of('signals'),
      audit: (signal) => {
        const line = writeSignalEvent(signal)
        void trail.accept({ line, classification: undefined, atMs: signal.atMs }, SIGNAL_WAIT_MS)
      },
    },
    nowMs,
  )
  undo.push(() => ssf.close())
  const { given } = feedback
  const recorder = openRecorder(
    config.audit.record,
    config.serviceTokens.header,
    metrics,
    liveLog.of('recorder'),
  )
  const load = { deciding: 0, shed: 0 }
  registerMetrics({
    metrics,
    policy,
    trail,
    keys,
    keysMaxStaleMs: config.jwks.maxStaleMs,
    trust,
    verifiers,
    store,
    alertSinks,
    given,
    ssf,
    expiries,
    load: {
      deciding: () => load.deciding,
      shed: () => load.shed,
      waitedMs: () => turns.lastMs,
      connections: () => listeners.map(({ name, listener }) => [name, listener.connections()]),
    },
  })
  const detector = await openDetector(config.audit.detector, {
    proxies: new Set(config.listeners.flatMap(({ trustedProxies }) => Array.from(trustedProxies.keys()))),
    placeOf: places.placeOf,
    record: (line, atMs) => void trail.accept({ line, classification: undefined, atMs }, SIGNAL_WAIT_MS),
    tell: alertSinks.send,
    metrics,
    log: liveLog.of('detector'),
  })
  if (detector) undo.push(() => detector.close())
  const parts = {
    record: (event: Parameters<typeof writeSecurityEvent>[0], waitMs: number) => {
      const line = writeSecurityEvent(event)
      recent?.note(line)
      const { nowMs: atMs, decisionId } = event
      const classification = event.decision.data?.name
      const accepted = trail.accept({ line, classification, atMs, decisionId }, waitMs)
      if (detector) void andThen(accepted, (kept) => kept === 'accepted' && detector.note(event))
      return accepted
    },
    learn: feedback.learn,
    recordCheck: recorder?.record,
    follow: telemetry.follow,
    observe: metrics.observe,
    usualTime,
    shed: () => {
      load.shed++
    },
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

  const closed = countClosedConnections(liveLog.of('listener'))
  undo.push(() => closed.close())
  registerClosedConnections(metrics, closed)
  for (const rules of config.listeners) {
    const check = counted(
      load,
      createCheck({
        ...parts,
        listener: rules,
        authorize: (request, asker, at) =>
          (recorder?.authorize ?? authorize)(
            { request, listener: rules, asker, nowMs: at },
            policy.current,
            lookups,
          ),
      }),
    )
    const liveTls = await openTls(rules, tls, trust.agents)
    const isRevoked = (asker: AskerCertificate): boolean => isRevokedNow(asker, trust.policy, nowMs())
    const answering = { check, isRevoked, accessLogs: feedback.accessLogs, turns }
    const surroundings = { agents: trust.agents, config, expiries, closed, log: liveLog.of('listener') }
    const from = team?.arrivals(rules.name) ?? rules.address
    const { listener, watcher } = await listen(rules, from, liveTls, answering, surroundings)
    listeners.push({ name: rules.name, listener })
    undo.push(() => {
      watcher?.close()
      return listener.close()
    })
  }
  const readiness = (): Readiness => ({
    ready: isReady(),
    detail: {
      revision: policy.current.revision,
      policyProblems: policy.lastProblems,
      trustProblems: trust.health().problems,
      placeProblems: livePlaces.problems(),
      signalProblems: problemsOf(ssf.health()),
      state: stateDetail(store.health()),
      audit: auditDetail(trail.figures()),
    },
  })
  const health = config.health.listen
    ? await orStartFailure(
        'health',
        startHealthServer({
          listen: config.health.listen,
          readiness,
          metrics: (accept) => answerMetrics(metrics, accept),
        }),
      )
    : undefined
  if (health) undo.push(() => health.close())
  const publicServer =
    config.public.listen && isFirst
      ? await orStartFailure(
          'public',
          startPublicServer({
            listen: config.public.listen,
            jwks: async () => assertions.jwks(await team?.others.keys()),
            events: ssf.push,
          }),
        )
      : undefined
  if (publicServer) undo.push(() => publicServer.close())
  const warmedAtMs = performance.now()
  const decided = await warmUp({ ...parts, policy: policy.current })
  log('debug', 'warmed up', { decided, tookMs: Math.round(performance.now() - warmedAtMs) })
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
    webhook: webhook?.address,
    readiness,
    families: metrics.families,
    recent,
    publishedKeys: assertions.published,
    log: liveLog,
    toggleDebug: liveLog.toggleDebug,
    stop: () => {
      serving = false
      return everyStep([
        // What it changes is audited, so it ends first.
        () => admin?.close(),
        () => webhook?.close(),
        () => Promise.all(listeners.map(({ listener }) => listener.drain(config.drain))),
        () => detector?.drain(),
        () => trail.drain(config.drain.timeoutMs),
        () => alertSinks.drain(config.drain.timeoutMs),
        () => recorder?.close(),
        () => telemetry.drain(config.drain.timeoutMs),
        () => state.close(nowMs()),
        ...undo.toReversed(),
      ])
    },
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
