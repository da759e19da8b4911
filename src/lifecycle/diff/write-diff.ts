import type { PolicyDiff } from './compare.js'
import type { TrafficDiff } from './traffic-changes.js'

/** Words of a report, so that text and Markdown say the same. */
export type Form = {
  readonly title: (text: string) => string
  readonly line: (text: string) => string
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
}

export const MARKDOWN: Form = {
  title: (text) => `\n### ${text}\n\n`,
  line: (text) => `- ${text.replaceAll(/[\\`*_[\]<>|#]/g, '\\$&')}\n`,
  good: (text) => text,
  bad: (text) => text,
}

/** What a person reads of a diff. Empty where nothing differs. */
export function writeDiff(diff: PolicyDiff, traffic: TrafficDiff | undefined, form: Form): string {
  const list = (title: string, lines: readonly string[], paint: (text: string) => string): string =>
    lines.length === 0
      ? ''
      : form.title(`${title}: ${lines.length}`) + lines.map((text) => paint(form.line(text))).join('')
  const plain = (text: string): string => text
  const edge = ({ caller, target, endpoint }: { caller: string; target: string; endpoint: string }): string =>
    `${caller} → ${target} ${endpoint}`
  const under = (texts: readonly string[]): string => [...new Set(texts)].join(', or ')
  const parts = [
    list(
      'Pairs gained',
      diff.gained.map((each) => `${edge(each)}: ${under(each.under)}`),
      form.good,
    ),
    list(
      'Pairs lost',
      diff.lost.map((each) => `${edge(each)}: ${under(each.under)}`),
      form.bad,
    ),
    list(
      'Pairs under other conditions',
      diff.changed.map((each) => `${edge(each)}: was ${under(each.was)}; is ${under(each.is)}`),
      plain,
    ),
    list('Services gained', diff.servicesGained, form.good),
    list('Services lost', diff.servicesLost, form.bad),
    list('Endpoints gained', diff.endpointsGained, form.good),
    list('Endpoints lost', diff.endpointsLost, form.bad),
    list(
      'Fields changed',
      diff.documents.flatMap(({ document, changes }) =>
        changes.map(({ field, was, is }) => `${document} ${field}: ${was ?? 'nothing'} ⇒ ${is ?? 'nothing'}`),
      ),
      plain,
    ),
  ]
  if (traffic) {
    parts.push(
      list(
        `Of ${traffic.calls.toLocaleString('en')} recorded calls, ${traffic.lost.toLocaleString('en')} are refused now and ${traffic.gained.toLocaleString('en')} permitted now; groups`,
        traffic
          .groups()
          .map(
            ({ count, was, is, example, message, ruleSource, ...each }) =>
              `${count.toLocaleString('en')} × ${edge(each)}: ${was} ⇒ ${is}${message === '' ? '' : `, ${message}`}${ruleSource === undefined ? '' : ` (${ruleSource})`}; for example ${example}`,
          ),
        plain,
      ),
    )
    if (traffic.ungrouped > 0)
      parts.push(form.line(`${traffic.ungrouped} more calls differ in further groups`))
  }
  return parts.join('')
}
