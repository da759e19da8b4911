import { type Static, Type } from '@sinclair/typebox'
import { DeviceReportSchema } from '../../device/device-report.js'
import { Fields, Words } from '../../schema/fields.js'
import { CursorSchema, DeviceIdSchema, IssuerSchema, ReasonSchema, TimeSchema, limitSchema } from './terms.js'

/** Devices of one bulk report. */
export const MAX_BULK_DEVICES = 10_000

export const DeviceQuerySchema = Fields({ issuer: Type.Optional(IssuerSchema) })
export const RemoveDeviceQuerySchema = Fields({ issuer: Type.Optional(IssuerSchema), reason: ReasonSchema })
export const DevicesQuerySchema = Fields({
  limit: Type.Optional(limitSchema(100, 1000)),
  cursor: Type.Optional(CursorSchema),
})

export const PutDeviceSchema = Fields({ ...DeviceReportSchema.properties, reason: ReasonSchema })

export const BulkDevicesSchema = Fields({
  reason: ReasonSchema,
  devices: Type.Array(
    Fields({
      id: DeviceIdSchema,
      issuer: Type.Optional(IssuerSchema),
      ...DeviceReportSchema.properties,
    }),
    { minItems: 1, maxItems: MAX_BULK_DEVICES },
  ),
})

export const BulkAnswerSchema = Fields({ accepted: Type.Integer({ minimum: 0 }) })

/** A device with the newest that is known of it; what nobody reported is absent. */
export const DeviceAnswerSchema = Fields(
  {
    id: DeviceIdSchema,
    issuer: IssuerSchema,
    managed: Type.Optional(Type.Boolean()),
    osPatched: Type.Optional(Type.Boolean()),
    diskEncrypted: Type.Optional(Type.Boolean()),
    firewall: Type.Optional(Type.Boolean()),
    antivirus: Type.Optional(Type.Boolean()),
    jailbroken: Type.Optional(Type.Boolean()),
    compliant: Type.Optional(Type.Boolean()),
    ownership: Type.Optional(Words(['Corporate', 'Personal'])),
    platform: Type.Optional(Type.String()),
    model: Type.Optional(Type.String()),
    owner: Type.Optional(Type.String()),
    lastSeen: Type.Optional(TimeSchema),
    externalLevel: Type.Optional(Words(['LOW', 'MEDIUM', 'HIGH'])),
    posture: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
    findings: Type.Optional(Type.Array(Fields({ name: Type.String(), points: Type.Number() }))),
    tier: Type.Optional(Type.String()),
  },
  { title: 'Device' },
)
export type DeviceAnswer = Static<typeof DeviceAnswerSchema>

export const DevicePageSchema = Fields({
  devices: Type.Array(DeviceAnswerSchema),
  next: Type.Optional(CursorSchema),
})
export type DevicePage = Static<typeof DevicePageSchema>
