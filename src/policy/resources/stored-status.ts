import { fieldsOf, type Resource } from './resource.js'

/** A condition as it is stored. */
export type StoredCondition = {
  readonly status: string
  readonly reason: string
  readonly message: string
  readonly lastTransitionTime: string
  readonly observedGeneration: number | undefined
}

/** The generation that a Portcullis had in force when it last wrote the status. */
export function programmedGeneration({ status }: Pick<Resource, 'status'>): number | undefined {
  return numberOf(fieldsOf(status)?.get('programmedGeneration'))
}

export function observedGeneration({ status }: Pick<Resource, 'status'>): number | undefined {
  return numberOf(fieldsOf(status)?.get('observedGeneration'))
}

/** By type. */
export function storedConditions({ status }: Pick<Resource, 'status'>): ReadonlyMap<string, StoredCondition> {
  const list = fieldsOf(status)?.get('conditions')
  const found = new Map<string, StoredCondition>()
  for (const each of Array.isArray(list) ? list : []) {
    const fields = fieldsOf(each)
    const text = (name: string): string => textOf(fields?.get(name))
    const type = text('type')
    if (type === '') continue
    found.set(type, {
      status: text('status'),
      reason: text('reason'),
      message: text('message'),
      lastTransitionTime: text('lastTransitionTime'),
      observedGeneration: numberOf(fields?.get('observedGeneration')),
    })
  }
  return found
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}
