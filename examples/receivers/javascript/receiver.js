// A receiver of webhooks, without any package.
//
//     WEBHOOK_SECRET=… node receiver.js 8080

'use strict'

const { createHmac, timingSafeEqual } = require('node:crypto')
const { createServer } = require('node:http')

const MAX_BODY_BYTES = 1024 * 1024
const TOLERANCE_S = 300
const SEEN_MAX = 100_000
const secret = process.env.WEBHOOK_SECRET
const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret)
const seen = new Set()

// What your service does about it. Keep the id together with what you did, where that outlives this process.
function act (flag) {
  console.log(flag.decision, flag.entity, flag.id)
}

function verified (headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': stamp, 'webhook-signature': signatures } = headers
  if (!id || !/^\d{1,12}$/.test(stamp ?? '') || Math.abs(Date.now() / 1000 - Number(stamp)) > TOLERANCE_S) return false
  const wanted = createHmac('sha256', key).update(`${id}.${stamp}.`).update(body).digest()
  return (signatures ?? '').split(' ').slice(0, 16).some(one => {
    const given = Buffer.from(one.startsWith('v1,') ? one.slice(3) : '', 'base64')
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  })
}

const server = createServer(async (request, response) => {
  const chunks = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) return response.writeHead(413, { connection: 'close' }).end()
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  if (!verified(request.headers, body)) return response.writeHead(401).end()
  const id = request.headers['webhook-id']
  if (!seen.has(id)) {
    act(JSON.parse(body))
    seen.add(id)
    if (seen.size > SEEN_MAX) seen.delete(seen.values().next().value)
  }
  return response.writeHead(204).end()
})
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log(`ready ${server.address().port}`))
