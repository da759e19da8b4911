import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import type { TrafficEvent } from '../lifecycle/traffic.js'

/** Longest text of a claim that tokens are taken with, UTF-16 units. */
const MAX_CLAIM_LENGTH = 1024

/** Why a log can't be read, for people; undefined where nothing is known against it. `-` is standard input. */
export async function unreadableLog(file: string): Promise<string | undefined> {
  if (file === '-') return undefined
  try {
    if ((await stat(file)).isDirectory()) return `${file} is a folder: name the log of security events in it`
    await access(file, constants.R_OK)
    return undefined
  } catch (error) {
    return `${file} can't be read: ${reasonOf(error)}`
  }
}

function reasonOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return 'no such file or folder'
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied'
  if (code === 'ENOTDIR') return 'a part of its path is not a folder'
  return error instanceof Error ? error.message : String(error)
}

/** Why a recorded user can't have called, by the field of the event that says so; no problem repeats a value. */
export function unfitEvent({ userId, userIssuer, fields }: TrafficEvent): string | undefined {
  if (userId === undefined) return undefined
  const { deviceId, sessionId } = fields
  for (const [name, value] of Object.entries({ userId, userIssuer, deviceId, sessionId })) {
    if (typeof value !== 'string') continue
    const found =
      value === ''
        ? 'is empty'
        : /\p{Cc}/u.test(value)
          ? 'has a control character'
          : value.length > MAX_CLAIM_LENGTH
            ? `is longer than ${MAX_CLAIM_LENGTH} characters`
            : undefined
    if (found !== undefined) return `the event's ${name} ${found}, so its call can't be decided again`
  }
  return undefined
}
