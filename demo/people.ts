/** Those whose laptops the inventory knows. */
export const OWNERS = ['alice', 'paula', 'root', 'berta', 'carl', 'dora', 'dan'] as const

export function laptopOf(owner: string): string {
  return `laptop-of-${owner}`
}
