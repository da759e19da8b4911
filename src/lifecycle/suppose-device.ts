import { type DeviceReport, DeviceReportSchema, reportOps } from '../device/device-report.js'
import { shapeFindings, matchesShape } from '../schema/shape.js'
import { applyOps, EMPTY_RECORD, type StateRecord } from '../state/record.js'

/** A device with nothing wrong: what is supposed where nobody says otherwise. */
export const DEVICE_IN_ORDER: DeviceReport = {
  managed: true,
  ownership: 'Corporate',
  osPatched: true,
  diskEncrypted: true,
  firewall: true,
  antivirus: true,
  jailbroken: false,
}

/** The record of a device that is in order. */
export function deviceInOrder(nowMs: number): StateRecord {
  return applyOps(EMPTY_RECORD, reportOps(DEVICE_IN_ORDER, nowMs))
}

/** The record that a report (JSON, as the admin API takes it) would make; or what is wrong with it. */
export function supposeDevice(
  text: string,
  nowMs: number,
): { readonly ok: true; readonly record: StateRecord } | { readonly ok: false; readonly problem: string } {
  let report: unknown
  try {
    report = JSON.parse(text)
  } catch {
    return { ok: false, problem: 'it is not JSON' }
  }
  if (!matchesShape(DeviceReportSchema, report)) {
    const [first] = shapeFindings(DeviceReportSchema, report)
    return { ok: false, problem: first?.message ?? 'it is no device report' }
  }
  return { ok: true, record: applyOps(EMPTY_RECORD, reportOps(report, nowMs)) }
}
