import { Type } from '@sinclair/typebox'
import { Fields } from '../schema/fields.js'
import { duration, path } from './fields.js'

const count = (byDefault: number, maximum: number, description: string, minimum = 1) =>
  Type.Integer({ default: byDefault, minimum, maximum, description })

const enabled = (description: string) => Type.Boolean({ default: true, description })

const timeOfDay = (byDefault: string, description: string) =>
  Type.String({
    default: byDefault,
    pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$',
    description,
    expected: 'a time of day such as 06:00',
  })

/** What is out of the ordinary, for the server and `portcullis audit analyze`. */
export const DetectorSchema = Fields(
  {
    enabled: enabled('Whether the server looks for anomalies in its own decisions.'),
    baseline: Type.Optional(
      path('A file in which the server keeps what it has learned, written every minute and at the end.'),
    ),
    learn: duration('7d', 'How long is learned before what was never seen is told.'),
    window: duration('1h', 'Of data volume, fan-out and first-seen edges.'),
    impossibleTravel: Fields(
      {
        enabled: enabled('Calls of one user from places that nobody gets between in that time.'),
        maxSpeedKmh: count(1000, 100_000, 'Faster than this, in km/h, nobody travels.'),
      },
      { default: {} },
    ),
    dataVolume: Fields(
      {
        enabled: enabled('A window with far more calls, or accesses to classified data, than usual.'),
        times: count(10, 1000, 'So many times its own baseline is told.', 2),
        leastCalls: count(1000, 1_000_000_000, 'With no more calls a window is never told.'),
        leastAccesses: count(
          100,
          1_000_000_000,
          'The same of reads and downloads of data that a DataPolicy classifies.',
        ),
      },
      { default: {} },
    ),
    lateralMovement: Fields(
      {
        enabled: enabled('One user or workload refused by many targets.'),
        targets: count(5, 64, 'So many different targets within the window.', 2),
        window: duration('10m', 'Within which targets are counted.'),
      },
      { default: {} },
    ),
    fanOut: Fields(
      {
        enabled: enabled('A user or workload that asks for far more targets than it did in earlier windows.'),
        times: count(3, 100, 'So many times its own earlier breadth is told.', 2),
        leastTargets: count(10, 256, 'With no more targets a window is never told.'),
      },
      { default: {} },
    ),
    offHours: Fields(
      {
        enabled: enabled('A user at an hour at which this user is never there.'),
        from: timeOfDay('22:00', 'From then on nobody is expected of whom no history is known.'),
        to: timeOfDay('06:00', 'Until then.'),
        zone: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 64,
            description:
              'IANA name of the time zone of `from` and `to`, for example Europe/Berlin. Without it only history tells.',
          }),
        ),
      },
      { default: {} },
    ),
    firstSeenEdge: Fields(
      { enabled: enabled('A workload let pass to an endpoint that it never called before.') },
      { default: {} },
    ),
    maxSubjects: count(20_000, 1_000_000, 'Users, and workloads, followed at once; who was seen last stays.'),
    maxEdges: count(200_000, 10_000_000, 'Edges remembered, over all workloads.'),
  },
  { default: {}, description: 'Looks for what is out of the ordinary.' },
)
