import { custom, Issuer } from 'openid-client-5'
import { answer } from './answer.mjs'

await answer(async (task) => {
  const issuer = new Issuer({ issuer: task.issuer, revocation_endpoint: task.endpoint, ...task.metadata })
  const jwks = task.key && { keys: [{ ...task.key, alg: undefined }] }
  const client = new issuer.Client({
    client_id: task.client,
    client_secret: task.secret,
    token_endpoint_auth_method: task.method,
    token_endpoint_auth_signing_alg: task.alg,
  }, jwks)
  // Of its own accord it waits 3.5 seconds for an answer.
  client[custom.http_options] = () => ({ ca: task.ca, cert: task.certificate, key: task.certificateKey, timeout: 60_000 })
  await client.revoke(task.token, task.hint, { clientAssertionPayload: task.claims })
})
