import type { FastifyReply } from 'fastify'
import type { Followers } from './follow.js'
import { PROBLEM_MEDIA_TYPE, type Refusal, writeProblem } from './problem-details.js'
import type { Reply } from './route.js'

export async function refuse(reply: FastifyReply, refusal: Refusal): Promise<void> {
  await reply
    .code(refusal.status)
    .headers(refusal.headers ?? {})
    .type(PROBLEM_MEDIA_TYPE)
    // To a text fastify would add a charset, which JSON has none of.
    .send(Buffer.from(writeProblem(refusal)))
}

export async function send(reply: FastifyReply, answer: Reply, followers: Followers): Promise<void> {
  switch (answer.kind) {
    case 'json':
      if (answer.location !== undefined) reply.header('location', answer.location)
      await reply
        .code(answer.status)
        .type('application/json')
        .send(Buffer.from(JSON.stringify(answer.body)))
      return
    case 'text':
      await reply.code(200).type(answer.mediaType).send(Buffer.from(answer.text))
      return
    case 'empty':
      await reply.code(204).send()
      return
    case 'lines':
      if (followers.full) {
        await refuse(reply, {
          status: 503,
          detail: 'as many follow already as may',
          headers: { 'retry-after': '30' },
        })
        return
      }
      await reply.code(200).type('application/x-ndjson; charset=utf-8').send(followers.add(answer.open))
  }
}
